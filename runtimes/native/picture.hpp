// Read frames (PNG or raw RGB) and write anomaly maps (PNG or raw float32).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "decision.hpp"

// Return the RGB pixels of a PNG of 8 bits, or of a raw file `*.rgb` with height * width * 3 bytes.
std::vector<std::uint8_t> read_frame(const std::string& path, std::int64_t height, std::int64_t width);

// Write a map: `*.png` grey with the pixel threshold at 127.5, any other name raw float32, little-endian.
void write_map(const std::string& path, const float* values, std::int64_t height, std::int64_t width,
               const Decision& decision);
