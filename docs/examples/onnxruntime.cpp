// Inspect one frame with ONNX Runtime.
// Usage: onnxruntime MODEL.onnx FRAME.rgb HEIGHT WIDTH THRESHOLD RANGE
// FRAME.rgb holds HEIGHT * WIDTH * 3 bytes: rows from top to bottom, RGB.
#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "decision.hpp"

int main(int argc, char** argv) try {
    if (argc != 7)
        throw std::runtime_error("usage: onnxruntime MODEL.onnx FRAME.rgb HEIGHT WIDTH THRESHOLD RANGE");
    const std::array<std::int64_t, 4> shape{1, std::stoll(argv[3]), std::stoll(argv[4]), 3};
    const Decision decision{std::stod(argv[5]), std::stod(argv[6])};
    std::ifstream file(argv[2], std::ios::binary);
    std::vector<std::uint8_t> frame{std::istreambuf_iterator<char>(file), {}};
    if (frame.size() != static_cast<std::size_t>(shape[1] * shape[2] * shape[3]))
        throw std::runtime_error("got " + std::to_string(frame.size()) + " bytes; expected HEIGHT * WIDTH * 3");

    Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "anomedge");
    const std::string path = argv[1];
    // ORTCHAR_T is wchar_t on Windows and char elsewhere.
    const std::basic_string<ORTCHAR_T> model(path.begin(), path.end());
    Ort::Session session(environment, model.c_str(), Ort::SessionOptions{});
    auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    auto input = Ort::Value::CreateTensor<std::uint8_t>(memory, frame.data(), frame.size(), shape.data(), shape.size());
    const char* inputs[] = {"frames"};
    // A detector with a map has a second output, "anomaly_map".
    const char* outputs[] = {"score"};
    auto results = session.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);

    const float score = results[0].GetTensorData<float>()[0];
    std::cout.precision(9);
    std::cout << (decision.is_anomalous(score) ? "anomalous " : "normal ") << score << ' '
              << decision.normalised(score) << '\n';
    return 0;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
}
