// Engines that `anomedge build` wrote on this device, in a folder beside the bundle.
#pragma once

#include <cstdint>
#include <string>

#include "runtime.hpp"

// Facts that an engine depends on, as in its record.
struct EngineFacts {
    std::string release;             // of TensorRT: 10.3.0
    std::string gpu;                 // name that CUDA gives
    std::string compute_capability;  // 8.7
    std::string multiprocessors;
};

// Return the engine of a graph for a batch; its SHA-256 is compared with its record's.
// An engine of another graph, GPU or release is not taken, nor one with options
// that change the arithmetic or the place of computation.
std::string find_engine(const Graph& graph, const EngineFacts& facts, std::int64_t batch);
