// ONNX Runtime behind the runtime interface, through its C API.
#include <onnxruntime_c_api.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "error.hpp"
#include "runtime.hpp"

const RuntimeKind runtime_kind{"onnxruntime", "onnx"};

namespace {

// The library may be newer than the headers, not older.
const OrtApi& api() {
    static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!found)
        throw Refused("onnxruntime " + std::string(OrtGetApiBase()->GetVersionString()) +
                      " is older than the headers of this program; install a newer one");
    return *found;
}

void check(OrtStatus* status) {
    if (!status) return;
    const std::string reason = api().GetErrorMessage(status);
    api().ReleaseStatus(status);
    throw Refused("onnxruntime: " + reason);
}

struct Release {
    void operator()(OrtEnv* object) const { api().ReleaseEnv(object); }
    void operator()(OrtSessionOptions* object) const { api().ReleaseSessionOptions(object); }
    void operator()(OrtSession* object) const { api().ReleaseSession(object); }
    void operator()(OrtMemoryInfo* object) const { api().ReleaseMemoryInfo(object); }
    void operator()(OrtValue* object) const { api().ReleaseValue(object); }
    void operator()(OrtTensorTypeAndShapeInfo* object) const { api().ReleaseTensorTypeAndShapeInfo(object); }
};
template <typename Object>
using Owned = std::unique_ptr<Object, Release>;

template <typename Object, typename Create>
Owned<Object> created(Create create) {
    Object* object = nullptr;
    check(create(&object));
    return Owned<Object>(object);
}

std::vector<float> values_of(OrtValue* value) {
    const auto info = created<OrtTensorTypeAndShapeInfo>(
        [&](OrtTensorTypeAndShapeInfo** out) { return api().GetTensorTypeAndShape(value, out); });
    ONNXTensorElementDataType type{};
    std::size_t size = 0;
    void* data = nullptr;
    check(api().GetTensorElementType(info.get(), &type));
    check(api().GetTensorShapeElementCount(info.get(), &size));
    check(api().GetTensorMutableData(value, &data));
    if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) throw Refused("onnxruntime: an output is not float32");
    const float* values = static_cast<const float*>(data);
    return {values, values + size};
}

// An empty folder while a session opens: tensors that a graph refers to by file would be read from the current folder.
class EmptyFolder {
public:
    EmptyFolder() : path_((std::filesystem::temp_directory_path() / "anomedge-XXXXXX").string()) {
        if (!::mkdtemp(path_.data())) throw Refused("got no writable folder for temporary files; expected one, or TMPDIR");
    }
    EmptyFolder(const EmptyFolder&) = delete;
    EmptyFolder& operator=(const EmptyFolder&) = delete;
    ~EmptyFolder() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    const char* path() const { return path_.c_str(); }

private:
    std::string path_;
};

class OnnxRuntime : public Runtime {
public:
    OnnxRuntime(const Graph& graph, const Shapes& shapes) : has_map_(shapes.has_map) {
        env_ = created<OrtEnv>([](OrtEnv** out) { return api().CreateEnv(ORT_LOGGING_LEVEL_WARNING, "anomedge", out); });
        const auto options =
            created<OrtSessionOptions>([](OrtSessionOptions** out) { return api().CreateSessionOptions(out); });
        const EmptyFolder empty;
        check(api().AddSessionConfigEntry(options.get(), "session.model_external_initializers_file_folder_path",
                                          empty.path()));
        session_ = created<OrtSession>([&](OrtSession** out) {
            return api().CreateSessionFromArray(env_.get(), graph.model.data(), graph.model.size(), options.get(), out);
        });
        memory_ = created<OrtMemoryInfo>(
            [](OrtMemoryInfo** out) { return api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, out); });
    }

    Outputs run(Frames& frames) override {
        const std::array<std::int64_t, 4> shape{frames.count, frames.height, frames.width, 3};
        const auto input = created<OrtValue>([&](OrtValue** out) {
            return api().CreateTensorWithDataAsOrtValue(memory_.get(), frames.pixels.data(), frames.pixels.size(),
                                                        shape.data(), shape.size(), ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
                                                        out);
        });
        const char* const inputs[] = {"frames"};
        const char* const names[] = {"score", "anomaly_map"};
        const OrtValue* const given[] = {input.get()};
        OrtValue* results[] = {nullptr, nullptr};
        check(api().Run(session_.get(), nullptr, inputs, given, 1, names, has_map_ ? 2 : 1, results));
        const Owned<OrtValue> score(results[0]), map(results[1]);
        Outputs outputs{values_of(score.get()), {}};
        if (has_map_) outputs.anomaly_map = values_of(map.get());
        return outputs;
    }

private:
    bool has_map_;
    Owned<OrtEnv> env_;
    Owned<OrtSession> session_;
    Owned<OrtMemoryInfo> memory_;
};

}  // namespace

std::unique_ptr<Runtime> open_runtime(Graph graph, const Shapes& shapes, const std::string& device) {
    if (!device.empty() && device != "cpu" && device != "CPU")
        throw Refused("got --device " + device + "; expected cpu");
    // Some builds send usage statistics unless this is set before the first session.
    ::setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    return std::make_unique<OnnxRuntime>(graph, shapes);
}
