#include "check/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace mts {

double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kFloat32:
    case DType::kComplex64:
    case DType::kComplex128:
      return 1e-4;
    case DType::kFloat16:
      return 5e-3;
    case DType::kBfloat16:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat4E2M1:
    case DType::kFloat8E8M0:
      return 2e-2;
    default:
      return 0;
  }
}

OutputDifference compare(std::string output, const Datum& reference, const Datum& fused) {
  const Tensor* tensor = reference.tensor();
  // Sequences and maps: the tolerance of their (first) tensors is looked up where they are compared.
  return check::compare(std::move(output), reference, fused,
                        {tensor != nullptr ? tolerance_of(tensor->dtype()) : -1, 0});
}

namespace check {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Compares tensors and collects the worst difference of all that belong to one output.
class Comparison {
 public:
  Comparison(std::string output, const Tolerance& tolerance) : tolerance_(tolerance) {
    result_.output = std::move(output);
    result_.passed = true;
    result_.tolerance = std::max(tolerance.relative, 0.0);
  }

  void visit(const std::string& place, const Datum& reference, const Datum& fused) {
    if (reference.value.index() != fused.value.index()) {
      static constexpr const char* kKinds[] = {"nothing", "a tensor", "a sequence", "a map"};
      fail(place,
           fmt::format("{} instead of {}", kKinds[fused.value.index()], kKinds[reference.value.index()]));
    } else if (const auto* tensor = std::get_if<Tensor>(&reference.value)) {
      visit(place, *tensor, std::get<Tensor>(fused.value));
    } else if (const auto* sequence = std::get_if<Sequence>(&reference.value)) {
      const auto& other = std::get<Sequence>(fused.value);
      if (sequence->size() != other.size()) {
        return fail(place, fmt::format("{} elements instead of {}", other.size(), sequence->size()));
      }
      for (size_t i = 0; i < sequence->size(); ++i) {
        visit(fmt::format("{}[{}]", place, i), (*sequence)[i], other[i]);
      }
    } else if (const auto* map = std::get_if<Map>(&reference.value)) {
      const auto& other = std::get<Map>(fused.value);
      if (!equal(map->keys, other.keys) || map->values.size() != other.values.size()) {
        return fail(place, "other keys");
      }
      for (size_t i = 0; i < map->values.size(); ++i) {
        visit(fmt::format("{}{{{}}}", place, i), map->values[i], other.values[i]);
      }
    }
  }

  OutputDifference take() { return std::move(result_); }

 private:
  static bool equal(const Tensor& a, const Tensor& b) {
    if (a.dtype() != b.dtype() || a.dims() != b.dims()) return false;
    if (!a.defined()) return true;
    if (a.dtype() == DType::kString) return a.strings() == b.strings();
    const size_t bytes = a.byte_size();
    return bytes == 0 || std::memcmp(a.data(), b.data(), bytes) == 0;
  }

  void visit(const std::string& place, const Tensor& reference, const Tensor& fused) {
    if (reference.dtype() != fused.dtype()) {
      return fail(place,
                  fmt::format("type {} instead of {}", name_of(fused.dtype()), name_of(reference.dtype())));
    }
    if (reference.dims() != fused.dims()) {
      return fail(
          place, fmt::format("shape {} instead of {}", to_string(fused.dims()), to_string(reference.dims())));
    }
    if (equal(reference, fused)) {
      // Unless both are NaN or infinite from end to end, which proves nothing but is equal all the same.
      return;
    }
    if (reference.dtype() == DType::kString) {
      size_t at = 0;
      while (reference.strings()[at] == fused.strings()[at]) ++at;
      return fail(place, fmt::format("\"{}\" instead of \"{}\" at element {}", fused.strings()[at],
                                     reference.strings()[at], at));
    }
    if (is_float(reference.dtype())) {
      visit_floats(place, reference, fused);
    } else if (reference.dtype() == DType::kComplex64 || reference.dtype() == DType::kComplex128) {
      const bool narrow = reference.dtype() == DType::kComplex64;
      visit_floats(place, parts(reference, narrow), parts(fused, narrow));
    } else {
      visit_integers(place, reference, fused);
    }
  }

  // Real and imaginary parts as elements of their own.
  static Tensor parts(const Tensor& tensor, bool narrow) {
    const DType dtype = narrow ? DType::kFloat32 : DType::kFloat64;
    Tensor result(dtype, {tensor.element_count() * 2});
    std::memcpy(result.mutable_data(), tensor.data(), tensor.byte_size());
    return result;
  }

  void visit_floats(const std::string& place, const Tensor& reference, const Tensor& fused) {
    const std::vector<double> expected = doubles_of(reference);
    const std::vector<double> actual = doubles_of(fused);
    if (expected.empty())
      return fail(place,
                  fmt::format("other bits (mts has no arithmetic for {})", name_of(reference.dtype())));
    double scale = 0;
    double worst = 0;
    size_t worst_at = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double x = expected[i];
      const double y = actual[i];
      if (std::isnan(x) != std::isnan(y)) return fail(place, "NaN at other places", i);
      if (std::isnan(x)) continue;
      if (std::isinf(x) || std::isinf(y)) {
        if (x != y) return fail(place, "infinity at other places", i);
        continue;
      }
      scale = std::max(scale, std::abs(x));
      if (std::abs(x - y) > worst) {
        worst = std::abs(x - y);
        worst_at = i;
      }
    }
    const double relative = tolerance_.relative >= 0 ? tolerance_.relative : tolerance_of(reference.dtype());
    result_.tolerance = std::max(result_.tolerance, relative);
    double allowed = relative * scale;
    if (tolerance_.quantum > 0) allowed = std::min(allowed, 2 * tolerance_.quantum);
    const double error = worst == 0 ? 0 : scale == 0 ? kInfinity : worst / scale;
    result_.error = std::max(result_.error, error);
    if (worst > allowed) {
      fail(place,
           fmt::format("error above tolerance: {:.6g} instead of {:.6g}", actual[worst_at],
                       expected[worst_at]),
           worst_at);
    }
  }

  void visit_integers(const std::string& place, const Tensor& reference, const Tensor& fused) {
    const std::vector<double> expected = doubles_of(reference);
    const std::vector<double> actual = doubles_of(fused);
    double scale = 0;
    double worst = 0;
    size_t worst_at = 0;
    size_t different = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      scale = std::max(scale, std::abs(expected[i]));
      if (expected[i] != actual[i]) ++different;
      if (std::abs(expected[i] - actual[i]) > worst) {
        worst = std::abs(expected[i] - actual[i]);
        worst_at = i;
      }
    }
    // Sub-byte padding may differ while all elements are equal; huge int64 may differ below the precision of
    // a double.
    const bool wide = reference.dtype() == DType::kInt64 || reference.dtype() == DType::kUint64;
    if (different == 0 && !wide) return;
    result_.error = std::max(result_.error, scale == 0 ? kInfinity : worst / scale);
    if (different == 0 || worst > 2 * tolerance_.quantum) {
      fail(place,
           fmt::format("{} of {} elements differ: {} instead of {}", std::max<size_t>(different, 1),
                       expected.size(), actual[worst_at], expected[worst_at]),
           worst_at);
    }
  }

  void fail(const std::string& place, std::string reason, std::optional<size_t> element = std::nullopt) {
    if (!result_.passed) return;  // the first reason says enough
    result_.passed = false;
    if (element) reason += fmt::format(" (element {})", *element);
    result_.reason = place.empty() ? std::move(reason) : place + ": " + reason;
    if (result_.error == 0) result_.error = kInfinity;
  }

  Tolerance tolerance_;
  OutputDifference result_;
};

}  // namespace

OutputDifference compare(std::string output, const Datum& reference, const Datum& fused,
                         const Tolerance& tolerance) {
  Comparison comparison(std::move(output), tolerance);
  comparison.visit("", reference, fused);
  return comparison.take();
}

std::vector<double> doubles_of(const Tensor& tensor) {
  if (tensor.dtype() == DType::kString || !tensor.defined()) return {};
  const Bytes bytes{nullptr, std::span(tensor.data(), tensor.byte_size())};  // outlived by `tensor`
  return Weight::from_bytes(tensor.dtype(), tensor.dims(), bytes)->as_doubles();
}

std::string to_string(const Dims& dims) { return fmt::format("[{}]", fmt::join(dims, ",")); }

}  // namespace check
}  // namespace mts
