// Errors that end the program with one line on standard error and exit code 2.
#pragma once

#include <stdexcept>

struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};
