// A bundle: its contract, its thresholds in force, and the bytes of one graph, all checked.
#pragma once

#include <cstdint>
#include <string>

#include "decision.hpp"
#include "runtime.hpp"

struct Bundle {
    std::int64_t height = 0, width = 0;
    std::int64_t batch = 0;  // 0: any number of frames
    Shapes shapes;
    Decision decision;
    Graph graph;
    std::string digest;
};

// Read and check the bundle at `path`: digest, list of files, sizes and hashes.
// `format` is "onnx" or "openvino". `local_folder` is where the device keeps
// its settings; empty for the default places.
Bundle open_bundle(const std::string& path, const std::string& precision, const std::string& format,
                   const std::string& local_folder);
