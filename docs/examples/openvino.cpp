// Inspect one frame with OpenVINO.
// Usage: openvino MODEL.xml FRAME.rgb HEIGHT WIDTH THRESHOLD RANGE
// FRAME.rgb holds HEIGHT * WIDTH * 3 bytes: rows from top to bottom, RGB.
#include <openvino/openvino.hpp>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "decision.hpp"

std::vector<std::uint8_t> read_frame(const std::string& path, std::size_t size) {
    std::ifstream file(path, std::ios::binary);
    std::vector<std::uint8_t> frame{std::istreambuf_iterator<char>(file), {}};
    if (frame.size() != size)
        throw std::runtime_error("got " + std::to_string(frame.size()) + " bytes; expected " + std::to_string(size));
    return frame;
}

int main(int argc, char** argv) try {
    if (argc != 7)
        throw std::runtime_error("usage: openvino MODEL.xml FRAME.rgb HEIGHT WIDTH THRESHOLD RANGE");
    const std::size_t height = std::stoul(argv[3]), width = std::stoul(argv[4]);
    const Decision decision{std::stod(argv[5]), std::stod(argv[6])};
    auto frame = read_frame(argv[2], height * width * 3);

    ov::Core core;
    // Without this hint a CPU with bfloat16 instructions computes in bfloat16.
    auto model = core.compile_model(argv[1], "CPU", ov::hint::inference_precision(ov::element::f32));
    auto request = model.create_infer_request();
    request.set_tensor("frames", ov::Tensor(ov::element::u8, {1, height, width, 3}, frame.data()));
    request.infer();

    const float score = request.get_tensor("score").data<float>()[0];
    std::cout.precision(9);
    std::cout << (decision.is_anomalous(score) ? "anomalous " : "normal ") << score << ' '
              << decision.normalised(score) << '\n';
    return 0;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
}
