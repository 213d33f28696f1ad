// The decision of a bundle: label and normalised score from a raw score.
#pragma once
#include <algorithm>

struct Decision {
    double threshold;  // "threshold" of `anomedge threshold BUNDLE --json`
    double range;      // max(maximum - minimum, scale) of the same output

    // A picture is anomalous if its score is above the threshold, not at it.
    bool is_anomalous(float score) const { return score > threshold; }

    // Score in [0, 1] with the threshold at 1/2; for display only.
    double normalised(float score) const {
        return std::clamp((score - threshold) / range + 0.5, 0.0, 1.0);
    }
};
