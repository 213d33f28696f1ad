// Interface of a runtime; each `runtime_*.cpp` implements it, and a program links one of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// A graph as bytes whose SHA-256 was compared with the manifest's. Runtimes get
// bytes, not paths: a file may change between its check and a second reading.
struct Graph {
    std::string model;
    std::string weights;  // of an OpenVINO IR; empty for ONNX
    std::string name;     // of the file, without its folder
    std::string sha256;   // of `model`
    std::string engines;  // folder of engines that were built from the model; used by TensorRT
};

// A batch of RGB frames: uint8 (count, height, width, 3), rows from top to bottom.
struct Frames {
    std::int64_t count = 0, height = 0, width = 0;
    std::vector<std::uint8_t> pixels;
};

// Sizes that the manifest promises; a runtime compares the graph's outputs with them.
struct Shapes {
    bool has_map = false;
    std::int64_t map_height = 0, map_width = 0;
    std::int64_t largest_batch = 0;  // largest batch that will be run
};

struct Outputs {
    std::vector<float> score;        // (count,)
    std::vector<float> anomaly_map;  // (count, 1, h, w); empty without a map
};

class Runtime {
public:
    virtual ~Runtime() = default;  // closes
    virtual Outputs run(Frames& frames) = 0;
};

struct RuntimeKind {
    const char* name;    // of `runtime` in the results
    const char* format;  // key of the graph in `variants` of the manifest
};

extern const RuntimeKind runtime_kind;
std::unique_ptr<Runtime> open_runtime(Graph graph, const Shapes& shapes, const std::string& device);
