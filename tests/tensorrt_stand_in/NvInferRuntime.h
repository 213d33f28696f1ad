// The classes of TensorRT 10 that runtime_tensorrt.cpp uses. For tests; written from the public API, not NVIDIA's header.
// An engine is a text: "stand-in", the frame's height and width, and the map's. The score of a frame is its mean, and
// the map its first channel at the nearest pixel above and to the left.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace nvinfer1 {

enum class DataType : std::int32_t { kFLOAT, kHALF, kINT8, kINT32, kBOOL, kUINT8 };

struct Dims {
    std::int32_t nbDims;
    std::int64_t d[8];
};

class ILogger {
public:
    enum class Severity : std::int32_t { kINTERNAL_ERROR, kERROR, kWARNING, kINFO, kVERBOSE };
    virtual void log(Severity severity, const char* text) noexcept = 0;
    virtual ~ILogger() = default;
};

struct Sizes {
    std::int64_t height = 0, width = 0, map_height = 0, map_width = 0;
};

class IExecutionContext {
public:
    explicit IExecutionContext(Sizes sizes) : sizes_(sizes) {}
    bool setInputShape(const char* name, const Dims& shape) noexcept {
        count_ = shape.d[0];
        return name == std::string("frames") && shape.d[1] == sizes_.height && shape.d[2] == sizes_.width;
    }
    Dims getTensorShape(const char* name) const noexcept {
        if (name == std::string("frames")) return {4, {count_, sizes_.height, sizes_.width, 3}};
        if (name == std::string("score")) return {1, {count_}};
        return {4, {count_, 1, sizes_.map_height, sizes_.map_width}};
    }
    bool setTensorAddress(const char* name, void* address) noexcept {
        addresses_[name] = address;
        return true;
    }
    bool enqueueV3(cudaStream_t) noexcept {
        if (addresses_.size() != 3) return false;
        const auto* frames = static_cast<const std::uint8_t*>(addresses_["frames"]);
        auto* score = static_cast<float*>(addresses_["score"]);
        auto* map = static_cast<float*>(addresses_["anomaly_map"]);
        const std::int64_t size = sizes_.height * sizes_.width * 3;
        for (std::int64_t i = 0; i < count_; ++i, frames += size) {
            double sum = 0;
            for (std::int64_t j = 0; j < size; ++j) sum += frames[j];
            *score++ = static_cast<float>(sum / static_cast<double>(size));
            for (std::int64_t y = 0; y < sizes_.map_height; ++y)
                for (std::int64_t x = 0; x < sizes_.map_width; ++x)
                    *map++ = frames[pixel(y, x) * 3];
        }
        return true;
    }

private:
    std::int64_t pixel(std::int64_t y, std::int64_t x) const {
        return y * sizes_.height / sizes_.map_height * sizes_.width + x * sizes_.width / sizes_.map_width;
    }
    Sizes sizes_;
    std::int64_t count_ = 0;
    std::map<std::string, void*> addresses_;
};

class ICudaEngine {
public:
    explicit ICudaEngine(Sizes sizes) : sizes_(sizes) {}
    std::int32_t getNbIOTensors() const noexcept { return 3; }
    const char* getIOTensorName(std::int32_t index) const noexcept {
        static const char* const names[] = {"frames", "score", "anomaly_map"};
        return names[index];
    }
    DataType getTensorDataType(const char* name) const noexcept {
        return name == std::string("frames") ? DataType::kUINT8 : DataType::kFLOAT;
    }
    IExecutionContext* createExecutionContext() noexcept { return new IExecutionContext(sizes_); }

private:
    Sizes sizes_;
};

class IRuntime {
public:
    explicit IRuntime(ILogger& log) : log_(log) {}
    ICudaEngine* deserializeCudaEngine(const void* content, std::size_t size) noexcept {
        std::istringstream text(std::string(static_cast<const char*>(content), size));
        std::string word;
        Sizes sizes;
        text >> word >> sizes.height >> sizes.width >> sizes.map_height >> sizes.map_width;
        if (text && word == "stand-in") return new ICudaEngine(sizes);
        log_.log(ILogger::Severity::kERROR, "magic tag does not match");
        return nullptr;
    }

private:
    ILogger& log_;
};

inline IRuntime* createInferRuntime(ILogger& log) noexcept { return new IRuntime(log); }

}  // namespace nvinfer1
