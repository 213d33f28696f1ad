// OpenVINO behind the runtime interface, through its C API.
#include <openvino/c/openvino.h>

#include <cstring>

#include "error.hpp"
#include "runtime.hpp"

const RuntimeKind runtime_kind{"openvino", "openvino"};

namespace {

void check(ov_status_e status, const char* what) {
    if (status == OK) return;
    const char* reason = ov_get_last_err_msg();
    throw Refused(std::string("openvino: ") + what + ": " + (reason ? reason : ov_get_error_info(status)));
}

template <typename Object, void (*release)(Object*)>
struct Release {
    void operator()(Object* object) const { release(object); }
};
template <typename Object, void (*release)(Object*)>
using Owned = std::unique_ptr<Object, Release<Object, release>>;
using Tensor = Owned<ov_tensor_t, ov_tensor_free>;

Tensor tensor_over(ov_element_type_e type, const std::vector<std::int64_t>& sizes, void* data) {
    ov_shape_t shape{};
    check(ov_shape_create(static_cast<std::int64_t>(sizes.size()), sizes.data(), &shape), "shape");
    ov_tensor_t* tensor = nullptr;
    const ov_status_e status = ov_tensor_create_from_host_ptr(type, shape, data, &tensor);
    ov_shape_free(&shape);
    check(status, "input");
    return Tensor(tensor);
}

class OpenVino : public Runtime {
public:
    OpenVino(Graph graph, const Shapes& shapes, const std::string& device)
        : graph_(std::move(graph)), has_map_(shapes.has_map) {
        ov_core_t* core = nullptr;
        check(ov_core_create(&core), "start");
        core_.reset(core);
        read();
        ov_compiled_model_t* compiled = nullptr;
        // Without this property a CPU with bfloat16 instructions computes in bfloat16.
        check(ov_core_compile_model(core, model_.get(), device.c_str(), 2, &compiled,
                                    ov_property_key_hint_inference_precision, "f32"),
              "compile");
        compiled_.reset(compiled);
        assert_float32();
        ov_infer_request_t* request = nullptr;
        check(ov_compiled_model_create_infer_request(compiled, &request), "request");
        request_.reset(request);
    }

    Outputs run(Frames& frames) override {
        const auto input = tensor_over(U8, {frames.count, frames.height, frames.width, 3}, frames.pixels.data());
        check(ov_infer_request_set_tensor(request_.get(), "frames", input.get()), "input");
        check(ov_infer_request_infer(request_.get()), "run");
        Outputs outputs{output("score"), {}};
        if (has_map_) outputs.anomaly_map = output("anomaly_map");
        return outputs;
    }

private:
    void read() {
        Tensor weights;
        if (!graph_.weights.empty())
            weights = tensor_over(U8, {static_cast<std::int64_t>(graph_.weights.size())}, graph_.weights.data());
        ov_model_t* model = nullptr;
        check(ov_core_read_model_from_memory_buffer(core_.get(), graph_.model.data(), graph_.model.size(),
                                                    weights.get(), &model),
              "read");
        model_.reset(model);
    }

    void assert_float32() const {
        char* value = nullptr;
        check(ov_compiled_model_get_property(compiled_.get(), ov_property_key_hint_inference_precision, &value),
              "precision");
        const std::string found = value;
        ov_free(value);
        if (found != "f32") throw Refused("openvino computes in " + found + "; expected f32");
    }

    std::vector<float> output(const char* name) const {
        ov_tensor_t* given = nullptr;
        check(ov_infer_request_get_tensor(request_.get(), name, &given), name);
        const Tensor tensor(given);
        ov_element_type_e type{};
        std::size_t size = 0;
        void* data = nullptr;
        check(ov_tensor_get_element_type(given, &type), name);
        check(ov_tensor_get_size(given, &size), name);
        check(ov_tensor_data(given, &data), name);
        if (type != F32) throw Refused(std::string("openvino: output ") + name + " is not float32");
        const float* values = static_cast<const float*>(data);
        return {values, values + size};
    }

    // The model's constants may lie in these bytes: they are declared first and freed last.
    Graph graph_;
    bool has_map_;
    Owned<ov_core_t, ov_core_free> core_;
    Owned<ov_model_t, ov_model_free> model_;
    Owned<ov_compiled_model_t, ov_compiled_model_free> compiled_;
    Owned<ov_infer_request_t, ov_infer_request_free> request_;
};

}  // namespace

std::unique_ptr<Runtime> open_runtime(Graph graph, const Shapes& shapes, const std::string& device) {
    return std::make_unique<OpenVino>(std::move(graph), shapes, device.empty() ? "CPU" : device);
}
