// Inspect frames with a bundle; print one JSON object a frame, each on a line of its own.
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "picture.hpp"

namespace {

const char* const usage =
    "usage: runner BUNDLE FRAME... [--map FILE] [--local DIR] [--precision NAME] [--device NAME] "
    "[--engines DIR]\n"
    "  FRAME   a PNG of 8 bits a channel, or *.rgb: raw RGB bytes, rows from top to bottom\n"
    "  --map   write the anomaly map of a single frame: *.png, or raw float32\n"
    "  --local folder of the device's settings, as --local of anomedge\n"
    "  --engines folder of TensorRT's engines, as --cache of anomedge build; BUNDLE.engines\n";

struct Arguments {
    std::string bundle, map, local, precision = "fp32", device, engines;
    std::vector<std::string> frames;
};

Arguments parsed(int argc, char** argv) {
    Arguments found;
    std::vector<std::string> plain;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        std::string* value = word == "--map"         ? &found.map
                             : word == "--local"     ? &found.local
                             : word == "--precision" ? &found.precision
                             : word == "--device"    ? &found.device
                             : word == "--engines"   ? &found.engines
                                                     : nullptr;
        if (!value && word.rfind("--", 0) == 0) throw Refused("got " + word + "; see runner --help");
        if (value && i + 1 == argc) throw Refused("got " + word + " without a value");
        if (value)
            *value = argv[++i];
        else
            plain.push_back(word);
    }
    if (plain.size() < 2) throw Refused("expected a bundle and at least one frame; see runner --help");
    found.bundle = plain[0];
    found.frames.assign(plain.begin() + 1, plain.end());
    if (!found.map.empty() && found.frames.size() > 1) throw Refused("got --map and several frames; expected one");
    return found;
}

// The folder beside the bundle in which `anomedge build` writes.
std::string engines_beside(std::string bundle) {
    while (bundle.size() > 1 && bundle.back() == '/') bundle.pop_back();
    return bundle + ".engines";
}

Frames read_frames(const Bundle& bundle, const std::vector<std::string>& paths) {
    Frames frames{static_cast<std::int64_t>(paths.size()), bundle.height, bundle.width, {}};
    for (const auto& path : paths) {
        const auto pixels = read_frame(path, bundle.height, bundle.width);
        frames.pixels.insert(frames.pixels.end(), pixels.begin(), pixels.end());
    }
    return frames;
}

// Of a fixed batch, the last part is filled up with its last frame.
Outputs run(Runtime& runtime, const Bundle& bundle, Frames frames) {
    const std::size_t frame = static_cast<std::size_t>(frames.height * frames.width) * 3;
    const std::int64_t count = frames.count;
    while (bundle.batch && frames.count < bundle.batch) {
        const std::vector<std::uint8_t> last(frames.pixels.end() - static_cast<std::ptrdiff_t>(frame), frames.pixels.end());
        frames.pixels.insert(frames.pixels.end(), last.begin(), last.end());
        ++frames.count;
    }
    Outputs outputs = runtime.run(frames);
    const std::size_t map = static_cast<std::size_t>(bundle.shapes.map_height * bundle.shapes.map_width);
    const std::size_t total = static_cast<std::size_t>(frames.count);
    if (outputs.score.size() != total || outputs.anomaly_map.size() != (bundle.shapes.has_map ? total * map : 0))
        throw Refused("the runtime gave outputs of another size than the manifest's");
    outputs.score.resize(static_cast<std::size_t>(count));
    refuse_not_finite(outputs.score, "score");
    refuse_not_finite(outputs.anomaly_map, "map");
    return outputs;
}

void print(const std::string& frame, float score, const Bundle& bundle, const std::string& map) {
    const Decision& decision = bundle.decision;
    nlohmann::ordered_json line = {
        {"frame", frame},
        {"label", decision.is_anomalous(score) ? "anomalous" : "normal"},
        {"score", score},
        {"normalised", decision.normalised(score, decision.threshold)},
        {"threshold", decision.threshold},
        {"runtime", runtime_kind.name},
    };
    if (!map.empty()) line["map"] = map;
    std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void inspect(const Arguments& given) {
    Bundle bundle = open_bundle(given.bundle, given.precision, runtime_kind.format, given.local);
    if (!given.map.empty() && !bundle.shapes.has_map) throw Refused("got --map; this detector has no anomaly map");
    const std::size_t part = bundle.batch ? static_cast<std::size_t>(bundle.batch) : given.frames.size();
    bundle.shapes.largest_batch = static_cast<std::int64_t>(part);
    bundle.graph.engines = given.engines.empty() ? engines_beside(given.bundle) : given.engines;
    const auto runtime = open_runtime(std::move(bundle.graph), bundle.shapes, given.device);
    for (std::size_t start = 0; start < given.frames.size(); start += part) {
        const std::size_t end = std::min(start + part, given.frames.size());
        const std::vector<std::string> paths(given.frames.begin() + static_cast<std::ptrdiff_t>(start),
                                             given.frames.begin() + static_cast<std::ptrdiff_t>(end));
        const Outputs outputs = run(*runtime, bundle, read_frames(bundle, paths));
        if (!given.map.empty())
            write_map(given.map, outputs.anomaly_map.data(), bundle.shapes.map_height, bundle.shapes.map_width,
                      bundle.decision);
        for (std::size_t i = 0; i < paths.size(); ++i) print(paths[i], outputs.score[i], bundle, given.map);
    }
    if (!std::cout) throw Refused("standard output cannot be written");
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc == 2 && std::string(argv[1]) == "--help") {
        std::cout << usage;
        return 0;
    }
    inspect(parsed(argc, argv));
    return 0;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
}
