// Files below a folder, read without following links, and their SHA-256.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// An open folder. Names are relative, have no `..`, and no part of them may be a link.
class Folder {
public:
    explicit Folder(const std::string& path);
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    // Return the content of a plain file of at most `limit` bytes; nothing if there is none.
    std::optional<std::string> read(const std::string& name, std::uint64_t limit) const;

    // Return the SHA-256 of a plain file of exactly `size` bytes; fill `content` if it is given.
    std::string sha256(const std::string& name, std::uint64_t size, std::string* content) const;

    // Return the names of all plain files below; refuse links, pipes and devices.
    std::vector<std::string> list() const;

private:
    int open(const std::string& name) const;
    std::string path_;
    int folder_;
};

std::string sha256_of(const std::string& content);
