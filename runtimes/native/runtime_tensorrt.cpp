// TensorRT behind the runtime interface, through its C++ API: an engine that `anomedge build` wrote on this device.
#include <NvInferRuntime.h>
#include <NvInferVersion.h>
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <iostream>
#include <type_traits>

#include "engines.hpp"
#include "error.hpp"
#include "runtime.hpp"

const RuntimeKind runtime_kind{"tensorrt", "onnx"};

namespace {

using nvinfer1::DataType;
using nvinfer1::Dims;

// Of the headers; TensorRT refuses engines of another release than the library's.
std::string release() {
    return std::to_string(NV_TENSORRT_MAJOR) + "." + std::to_string(NV_TENSORRT_MINOR) + "." +
           std::to_string(NV_TENSORRT_PATCH);
}

void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess) throw Refused(std::string("CUDA: ") + what + ": " + cudaGetErrorString(status));
}

// Errors are kept for the message of the call that failed; warnings go to standard error.
class Log : public nvinfer1::ILogger {
public:
    void log(Severity severity, const char* text) noexcept override {
        if (severity <= Severity::kERROR)
            error = text;
        else if (severity == Severity::kWARNING)
            std::cerr << "warning: tensorrt: " << text << '\n';
    }
    void check(bool passed, const char* what) const {
        if (!passed) throw Refused(std::string("tensorrt: ") + what + (error.empty() ? "" : ": " + error));
    }
    std::string error;
};

struct FreeDevice {
    void operator()(void* memory) const { cudaFree(memory); }
};
struct FreeStream {
    void operator()(CUstream_st* stream) const { cudaStreamDestroy(stream); }
};

std::size_t bytes_of(DataType type) {
    if (type == DataType::kFLOAT) return 4;
    if (type == DataType::kUINT8 || type == DataType::kBOOL) return 1;
    throw Refused("tensorrt: an input or output is not uint8, float32 or bool");
}

std::size_t count_of(const Dims& shape) {
    std::size_t count = 1;
    for (std::int32_t i = 0; i < shape.nbDims; ++i) {
        if (shape.d[i] < 0) throw Refused("tensorrt: the size of an output depends on the data");
        count *= static_cast<std::size_t>(shape.d[i]);
    }
    return count;
}

int index_of(const std::string& device) {
    const auto colon = device.find(':');
    const std::string kind = device.substr(0, colon), digits = colon == device.npos ? "0" : device.substr(colon + 1);
    if ((kind != "gpu" && kind != "cuda") || digits.empty() || digits.size() > 3 ||
        digits.find_first_not_of("0123456789") != digits.npos)
        throw Refused("got --device " + device + "; expected gpu, gpu:1 or so");
    return std::atoi(digits.c_str());
}

int attribute(cudaDeviceAttr name, int gpu) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, name, gpu), "attributes of the GPU");
    return value;
}

EngineFacts facts_of(int gpu) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, gpu), "properties of the GPU");
    const auto number = [&](cudaDeviceAttr name) { return std::to_string(attribute(name, gpu)); };
    return {release(), properties.name,
            number(cudaDevAttrComputeCapabilityMajor) + "." + number(cudaDevAttrComputeCapabilityMinor),
            number(cudaDevAttrMultiProcessorCount)};
}

class TensorRt : public Runtime {
public:
    TensorRt(const Graph& graph, const Shapes& shapes, int gpu) : has_map_(shapes.has_map) {
        check(cudaSetDevice(gpu), "GPU");
        const std::string plan = find_engine(graph, facts_of(gpu), shapes.largest_batch);
        cudaStream_t stream = nullptr;
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
        stream_.reset(stream);
        runtime_.reset(nvinfer1::createInferRuntime(log_));
        log_.check(runtime_ != nullptr, "start");
        engine_.reset(runtime_->deserializeCudaEngine(plan.data(), plan.size()));
        log_.check(engine_ != nullptr, "the engine cannot be read");
        context_.reset(engine_->createExecutionContext());
        log_.check(context_ != nullptr, "no room for the engine's activations");
    }

    Outputs run(Frames& frames) override {
        allocate(frames);
        check(cudaMemcpyAsync(memory("frames"), frames.pixels.data(), frames.pixels.size(), cudaMemcpyHostToDevice,
                              stream_.get()),
              "copy to the GPU");
        log_.check(context_->enqueueV3(stream_.get()), "the engine did not run");
        Outputs outputs{output("score"), {}};
        if (has_map_) outputs.anomaly_map = output("anomaly_map");
        return outputs;
    }

private:
    struct Tensor {
        std::string name;
        DataType type;
        std::size_t count;
        std::unique_ptr<void, FreeDevice> memory;
    };

    // Every tensor needs an address, those too that are not read. Memory is kept for batches of one size.
    void allocate(const Frames& frames) {
        Dims shape{};
        shape.nbDims = 4;
        shape.d[0] = static_cast<Size>(frames.count);
        shape.d[1] = static_cast<Size>(frames.height);
        shape.d[2] = static_cast<Size>(frames.width);
        shape.d[3] = 3;
        if (frames.count == count_) return;
        log_.check(context_->setInputShape("frames", shape), "the engine takes no such frames");
        tensors_.clear();
        for (std::int32_t i = 0; i < engine_->getNbIOTensors(); ++i) {
            const char* const name = engine_->getIOTensorName(i);
            Tensor tensor{name, engine_->getTensorDataType(name), count_of(context_->getTensorShape(name)), nullptr};
            void* address = nullptr;
            check(cudaMalloc(&address, tensor.count * bytes_of(tensor.type)), name);
            tensor.memory.reset(address);
            log_.check(context_->setTensorAddress(name, address), name);
            tensors_.push_back(std::move(tensor));
        }
        const Tensor& input = find("frames");
        if (input.type != DataType::kUINT8 || input.count != frames.pixels.size())
            throw Refused("tensorrt: the engine's frames are not uint8 of the bundle's size");
        count_ = frames.count;
    }

    const Tensor& find(const std::string& name) const {
        for (const auto& tensor : tensors_)
            if (tensor.name == name) return tensor;
        throw Refused("tensorrt: the engine has no " + name);
    }

    void* memory(const std::string& name) const { return find(name).memory.get(); }

    std::vector<float> output(const std::string& name) const {
        const Tensor& tensor = find(name);
        if (tensor.type != DataType::kFLOAT) throw Refused("tensorrt: output " + name + " is not float32");
        std::vector<float> values(tensor.count);
        check(cudaMemcpyAsync(values.data(), tensor.memory.get(), values.size() * sizeof(float), cudaMemcpyDeviceToHost,
                              stream_.get()),
              "copy from the GPU");
        check(cudaStreamSynchronize(stream_.get()), "run");
        return values;
    }

    using Size = std::remove_reference_t<decltype(Dims{}.d[0])>;  // 32 bits in TensorRT 8, 64 in later ones

    // Destroyed in reverse order: memory, context, engine, runtime, stream, log.
    bool has_map_;
    std::int64_t count_ = 0;
    Log log_;
    std::unique_ptr<CUstream_st, FreeStream> stream_;
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    std::unique_ptr<nvinfer1::IExecutionContext> context_;
    std::vector<Tensor> tensors_;
};

}  // namespace

std::unique_ptr<Runtime> open_runtime(Graph graph, const Shapes& shapes, const std::string& device) {
    return std::make_unique<TensorRt>(graph, shapes, index_of(device.empty() ? "gpu" : device));
}
