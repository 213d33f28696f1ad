// Engines that `anomedge build` wrote on this device, in a folder beside the bundle.
#include "engines.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "error.hpp"
#include "files.hpp"

namespace {

using Json = nlohmann::json;
constexpr std::uint64_t record_limit = 1 << 20, engine_limit = std::uint64_t(4) << 30;

bool has_suffix(const std::string& text, const std::string& suffix) {
    return text.size() > suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// The Python package states four numbers of the release (10.3.0.26), the headers and JetPack three.
bool is_release(const std::string& stated, const std::string& release) {
    return stated == release || stated.rfind(release + ".", 0) == 0;
}

bool fits(const Json& fingerprint, const Graph& graph, const EngineFacts& facts, std::int64_t batch) {
    const Json& device = fingerprint.at("device");
    const Json& options = fingerprint.at("options");
    const Json& batches = fingerprint.at("batches");
    const bool own_gpu = device.value("gpu", "") == facts.gpu &&
                         device.value("compute_capability", "") == facts.compute_capability &&
                         device.value("multiprocessors", "") == facts.multiprocessors;
    const bool plain = options.at("tf32") == false && options.at("dla").is_null();
    return own_gpu && plain && fingerprint.at("graph") == Json{{graph.name, graph.sha256}} &&
           is_release(fingerprint.at("version").get<std::string>(), facts.release) &&
           batches.at(0).get<std::int64_t>() <= batch && batch <= batches.at(2).get<std::int64_t>();
}

std::string read_engine(const Folder& folder, const std::string& name, const Json& record) {
    const auto size = record.at("bytes").get<std::uint64_t>();
    if (size > engine_limit) throw Refused(name + " is larger than any engine that anomedge builds");
    std::string content;
    if (folder.sha256(name, size, &content) != record.at("sha256").get<std::string>())
        throw Refused(name + " was changed: its SHA-256 is not its record's; run anomedge build --force");
    return content;
}

}  // namespace

std::string find_engine(const Graph& graph, const EngineFacts& facts, std::int64_t batch) {
    const std::string wanted = "an engine of " + graph.name + " for a batch of " + std::to_string(batch) + " on " +
                               facts.gpu + " with TensorRT " + facts.release;
    const std::string advice = "; expected " + wanted + ": run anomedge build BUNDLE --runtime trt --batch " +
                               std::to_string(batch) + " on this device";
    if (::access(graph.engines.c_str(), F_OK) != 0) throw Refused("got no folder " + graph.engines + advice);
    const Folder folder(graph.engines);
    for (const auto& name : folder.list()) {
        if (name.rfind(graph.name + ".trt.", 0) != 0 || !has_suffix(name, ".engine.json")) continue;
        const auto text = folder.read(name, record_limit);
        try {
            const Json record = Json::parse(text.value_or(""));
            if (fits(record.at("fingerprint"), graph, facts, batch))
                return read_engine(folder, name.substr(0, name.size() - 5), record);
        } catch (const Json::exception&) {
            continue;  // no record of anomedge
        }
    }
    throw Refused("got no such engine in " + graph.engines + advice);
}
