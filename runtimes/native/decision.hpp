// The decision of a bundle: label, normalised score and mask from raw values.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "error.hpp"

struct Decision {
    double threshold = 0;
    double pixel_threshold = 0;
    double minimum = 0;
    double maximum = 0;
    double scale = 1;

    // A picture is anomalous if its score is above the threshold, not at it.
    // The score stays a float32 and is compared in float64.
    bool is_anomalous(float score) const { return static_cast<double>(score) > threshold; }

    double range() const {
        return std::min(std::max(maximum - minimum, scale), std::numeric_limits<double>::max());
    }

    // Value in [0, 1] with its threshold at 1/2; for display only.
    double normalised(float value, double its_threshold) const {
        return std::clamp((value - its_threshold) / range() + 0.5, 0.0, 1.0);
    }
};

// NaN is above no threshold: without this check it would be labelled normal.
template <typename Values>
void refuse_not_finite(const Values& values, const char* name) {
    for (const float value : values)
        if (!std::isfinite(value))
            throw Refused(std::string("got a ") + name + " that is not finite; verify the bundle on this device");
}
