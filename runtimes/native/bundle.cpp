// Read and check a bundle: manifest, `local.json`, list of files, sizes and hashes.
#include "bundle.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "files.hpp"

namespace {

using Json = nlohmann::json;
constexpr std::uint64_t manifest_limit = 4 << 20, local_limit = 1 << 16;
constexpr std::uint64_t file_limit = std::uint64_t(16) << 30, graph_limit = std::uint64_t(2) << 30;
constexpr std::int64_t largest_side = 65536;
constexpr int deepest = 64;

// Keeps track of the keys of each open object: the parser itself keeps the last of two equal keys.
class KeyCheck {
public:
    bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > deepest) throw Refused("JSON is nested too deeply");
        if (event == Json::parse_event_t::object_start) keys_.emplace_back();
        if (event == Json::parse_event_t::object_end) keys_.pop_back();
        if (event == Json::parse_event_t::key && !keys_.back().insert(parsed.get<std::string>()).second)
            throw Refused("JSON has the key " + parsed.dump() + " twice");
        return true;
    }

private:
    std::vector<std::set<std::string>> keys_;
};

Json parse(const std::string& text, const std::string& name) {
    auto check = std::make_shared<KeyCheck>();
    try {
        Json content = Json::parse(text, [check](int depth, Json::parse_event_t event, Json& parsed) {
            return (*check)(depth, event, parsed);
        });
        if (!content.is_object()) throw Refused("expected one JSON object");
        return content;
    } catch (const Json::exception& error) {
        throw Refused(name + ": " + error.what() + "; copy the bundle again");
    } catch (const Refused& error) {
        throw Refused(name + ": " + error.what());
    }
}

double number(const Json& content, const char* key) {
    const Json& value = content.at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>()))
        throw Refused(std::string("got ") + value.dump() + " as " + key + "; expected a finite number");
    return value.get<double>();
}

std::int64_t whole(const Json& value, std::int64_t largest, const char* name) {
    if (!value.is_number_integer() || value < 1 || value > largest)
        throw Refused(std::string("got ") + value.dump() + " as " + name + "; expected a whole number from 1 to " +
                      std::to_string(largest));
    return value.get<std::int64_t>();
}

// `anomedge` writes a manifest as canonical JSON, with sorted keys and an
// indentation of two; the digest is the SHA-256 of the same text without the
// line of the digest. Deeper levels have a larger indentation, and a string
// has no line break.
void check_digest(const std::string& text, const std::string& digest) {
    const std::string line = "\n  \"digest\": \"" + digest + "\",";
    const auto start = text.find(line);
    if (digest.size() != 64 || start == text.npos ||
        sha256_of(text.substr(0, start) + text.substr(start + line.size())) != digest)
        throw Refused("manifest.json was changed: its digest is not its content's; export or copy the bundle again");
}

// Temporary files of `local.json` have a name `.local.json.*.tmp` and lie in the bundle's folder.
bool is_unhashed(const std::string& name) {
    const std::string start = ".local.json.", end = ".tmp";
    const bool temporary = name.size() > start.size() + end.size() && name.compare(0, start.size(), start) == 0 &&
                           name.compare(name.size() - end.size(), end.size(), end) == 0 &&
                           name.find('/') == name.npos;
    return name == "manifest.json" || name == "local.json" || name.rfind("certificates/", 0) == 0 || temporary;
}

std::string* content_of(Graph& graph, const std::string& name, const std::string& model, const std::string& weights) {
    if (name == model) return &graph.model;
    return name == weights ? &graph.weights : nullptr;
}

void check_files(const Folder& folder, const Json& files, Bundle& bundle, const std::string& model,
                 const std::string& weights) {
    for (const auto& name : folder.list())
        if (!is_unhashed(name) && !files.contains(name))
            throw Refused(name + " is not in the manifest; remove it");
    for (const auto& [name, record] : files.items()) {
        std::string* content = content_of(bundle.graph, name, model, weights);
        const Json& size = record.at("bytes");
        if (!size.is_number_unsigned() || size.get<std::uint64_t>() > (content ? graph_limit : file_limit))
            throw Refused("got " + size.dump() + " bytes of " + name + "; expected at most " +
                          std::to_string(content ? graph_limit : file_limit));
        if (folder.sha256(name, size.get<std::uint64_t>(), content) != record.at("sha256").get<std::string>())
            throw Refused(name + " was changed: its SHA-256 is not the manifest's; copy the bundle again");
    }
}

void read_contract(const Json& manifest, Bundle& bundle) {
    const Json& input = manifest.at("input");
    if (input.at("dtype") != "uint8" || input.contains("resize"))
        throw Refused("this bundle was exported with --frame any; expected one with a fixed frame size: export it again");
    if (input.at("name") != "frames" || input.at("layout") != "NHWC" || input.at("colour") != "RGB")
        throw Refused("got an unknown input; expected frames, NHWC, RGB");
    bundle.height = whole(input.at("height"), largest_side, "height");
    bundle.width = whole(input.at("width"), largest_side, "width");
    if (input.at("batch") != "dynamic") bundle.batch = whole(input.at("batch"), 4096, "batch");
    for (const Json& output : manifest.at("outputs")) {
        if (output.at("name") != "anomaly_map") continue;
        bundle.shapes.has_map = true;
        bundle.shapes.map_height = whole(output.at("shape").at(1), largest_side, "map height");
        bundle.shapes.map_width = whole(output.at("shape").at(2), largest_side, "map width");
    }
}

void set_values(const Json& values, Decision& decision) {
    if (values.contains("threshold")) decision.threshold = number(values, "threshold");
    if (values.contains("pixel_threshold")) decision.pixel_threshold = number(values, "pixel_threshold");
    if (values.contains("minimum")) decision.minimum = number(values, "minimum");
    if (values.contains("maximum")) decision.maximum = number(values, "maximum");
    if (values.contains("scale")) decision.scale = number(values, "scale");
}

// Services may run without HOME.
std::string home_of_user() {
    std::vector<char> buffer(1 << 16);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
        throw Refused("got no HOME and no entry of this user; expected HOME, or --local with a folder");
    return found->pw_dir;
}

std::string state_folder() {
    const char* state = std::getenv("XDG_STATE_HOME");
    if (state && state[0] == '/') return std::string(state) + "/anomedge";
    const char* home = std::getenv("HOME");
    return (home ? std::string(home) : home_of_user()) + "/.local/state/anomedge";
}

// The places of `local.json`, as in docs/station.md: a given folder and
// nowhere else; a bundle that can be written; else the user's state folder,
// then the bundle.
std::vector<std::string> local_folders(const std::string& path, const std::string& digest, const std::string& given) {
    const std::string digits = digest.substr(0, 16);
    if (!given.empty()) return {given + "/" + digits};
    if (::access(path.c_str(), W_OK) == 0) return {path};
    return {state_folder() + "/local/" + digits, path};
}

void apply_local(const std::string& path, const std::string& given, Bundle& bundle) {
    for (const auto& place : local_folders(path, bundle.digest, given)) {
        if (::access(place.c_str(), F_OK) != 0) continue;
        const auto text = Folder(place).read("local.json", local_limit);
        if (!text) continue;
        const std::string name = place + "/local.json";
        Json local = parse(*text, name);
        if (local.value("bundle", Json()) != bundle.digest) {
            std::cerr << "warning: " << name << " was written for another bundle and is ignored\n";
            return;
        }
        local.erase("scale");  // fixed at fitting; a device cannot change it
        set_values(local, bundle.decision);
        return;
    }
}

}  // namespace

Bundle open_bundle(const std::string& path, const std::string& precision, const std::string& format,
                   const std::string& local_folder) try {
    const Folder folder(path);
    const auto text = folder.read("manifest.json", manifest_limit);
    if (!text) throw Refused("got " + path + "; expected the folder of a bundle, with a manifest.json");
    const Json manifest = parse(*text, "manifest.json");
    if (manifest.at("schema_version") != 1) throw Refused("got another schema version of manifest.json; expected 1");
    Bundle bundle;
    bundle.digest = manifest.at("digest").get<std::string>();
    check_digest(*text, bundle.digest);
    read_contract(manifest, bundle);
    const Json& variants = manifest.at("variants");
    if (!variants.contains(precision) || !variants.at(precision).contains(format))
        throw Refused("the bundle has no graph " + format + " in precision " + precision + "; export it again");
    const auto model = variants.at(precision).at(format).get<std::string>();
    const bool is_ir = format == "openvino";
    const auto weights = is_ir ? model.substr(0, model.rfind('.')) + ".bin" : std::string();
    if (!is_ir && manifest.at("files").contains(model + ".data"))
        throw Refused("the graph has its weights in " + model + ".data; expected one file below 2 GiB");
    check_files(folder, manifest.at("files"), bundle, model, weights);
    if (bundle.graph.model.empty()) throw Refused(model + " is not in the manifest's list of files");
    bundle.graph.name = model.substr(model.rfind('/') + 1);
    bundle.graph.sha256 = manifest.at("files").at(model).at("sha256").get<std::string>();
    set_values(manifest.at("decision"), bundle.decision);
    apply_local(path, local_folder, bundle);
    return bundle;
} catch (const Json::exception& error) {
    throw Refused(std::string("manifest.json or local.json: ") + error.what() + "; export the bundle again");
}
