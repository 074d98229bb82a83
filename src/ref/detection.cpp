// Object detection: NonMaxSuppression and RoiAlign.
#include "ref/convert.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

struct Box {
  double y1, x1, y2, x2;
};

double overlap(const Box& a, const Box& b) {
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1),
               width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double area_a = (a.y2 - a.y1) * (a.x2 - a.x1), area_b = (b.y2 - b.y1) * (b.x2 - b.x1);
  if (height <= 0 || width <= 0 || area_a <= 0 || area_b <= 0) return 0;
  return height * width / (area_a + area_b - height * width);
}

// boxes [B, N, 4], scores [B, C, N] -> [selected, 3] of (batch, class, box), per batch and class by falling
// score.
Outputs non_max_suppression(const Call& c) {
  const Tensor &boxes = c.in(0), &scores = c.in(1);
  if (boxes.dims().size() != 3 || scores.dims().size() != 3 || boxes.dims()[2] != 4 ||
      boxes.dims()[0] != scores.dims()[0] || boxes.dims()[1] != scores.dims()[2]) {
    return c.bad("boxes [B, N, 4] and scores [B, C, N] are expected");
  }
  int64_t most = 0;
  double iou_limit = 0, score_limit = -INFINITY;
  if (const Tensor* given = c.opt(2)) {
    MTS_ASSIGN(most, c.scalar_int(*given));
  }
  if (const Tensor* given = c.opt(3)) {
    MTS_ASSIGN(iou_limit, c.scalar(*given));
  }
  if (const Tensor* given = c.opt(4)) {
    MTS_ASSIGN(score_limit, c.scalar(*given));
  }
  const bool centre = c.node.int_or("center_point_box", 0) != 0;
  MTS_ASSIGN(const std::vector<double> corner, to_doubles(c, boxes));
  MTS_ASSIGN(const std::vector<double> score, to_doubles(c, scores));
  const int64_t batch = boxes.dims()[0], count = boxes.dims()[1], classes = scores.dims()[1];
  std::vector<int64_t> selected;
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<Box> all;
    for (int64_t i = 0; i < count; ++i) {
      const double* p = corner.data() + (b * count + i) * 4;
      if (centre) {
        all.push_back({p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2});
      } else {
        all.push_back(
            {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])});
      }
    }
    for (int64_t k = 0; k < classes; ++k) {
      const double* own = score.data() + (b * classes + k) * count;
      std::vector<int64_t> order;
      for (int64_t i = 0; i < count; ++i) {
        if (own[i] > score_limit) order.push_back(i);
      }
      std::ranges::stable_sort(order, [&](int64_t p, int64_t q) { return own[p] > own[q]; });
      std::vector<int64_t> kept;
      for (int64_t i : order) {
        if (static_cast<int64_t>(kept.size()) >= most) break;
        const bool hidden = std::ranges::any_of(kept, [&](int64_t j) {
          return overlap(all[static_cast<size_t>(i)], all[static_cast<size_t>(j)]) > iou_limit;
        });
        if (!hidden) kept.push_back(i);
      }
      for (int64_t i : kept) selected.insert(selected.end(), {b, k, i});
    }
  }
  return one(Tensor::of<int64_t>(DType::kInt64, {static_cast<int64_t>(selected.size()) / 3, 3}, selected));
}

struct Corner {
  int64_t at;
  double weight;
};

// The four pixels around a place and their weights; all weights 0 outside of the image.
std::array<Corner, 4> corners_of(double y, double x, int64_t height, int64_t width) {
  if (!(y >= -1 && y <= static_cast<double>(height) && x >= -1 && x <= static_cast<double>(width))) return {};
  y = std::max(y, 0.0);
  x = std::max(x, 0.0);
  auto top = static_cast<int64_t>(y), left = static_cast<int64_t>(x);
  int64_t bottom = top + 1, right = left + 1;
  if (top >= height - 1) {
    top = bottom = height - 1;
    y = static_cast<double>(top);
  }
  if (left >= width - 1) {
    left = right = width - 1;
    x = static_cast<double>(left);
  }
  const double fy = y - static_cast<double>(top), fx = x - static_cast<double>(left);
  return {{{top * width + left, (1 - fy) * (1 - fx)},
           {top * width + right, (1 - fy) * fx},
           {bottom * width + left, fy * (1 - fx)},
           {bottom * width + right, fy * fx}}};
}

// X [N, C, H, W], rois [R, 4] as (x1, y1, x2, y2), batch_indices [R] -> [R, C, oh, ow].
Outputs roi_align(const Call& c) {
  const Tensor &x = c.in(0), &rois = c.in(1);
  MTS_ASSIGN(const std::vector<int64_t> batches, c.ints(c.in(2)));
  const std::string mode = c.node.string_or("mode", "avg");
  const bool half_pixel =
      c.node.string_or("coordinate_transformation_mode",
                       c.version >= 16 ? "half_pixel" : "output_half_pixel") == "half_pixel";
  if (mode != "avg" && mode != "max") return c.bad("mode is " + mode);
  const int64_t out_h = c.node.int_or("output_height", 1), out_w = c.node.int_or("output_width", 1),
                ratio = c.node.int_or("sampling_ratio", 0);
  const double scale = c.node.float_or("spatial_scale", 1);
  if (x.dims().size() != 4 || rois.dims() != Dims{static_cast<int64_t>(batches.size()), 4})
    return c.bad("its inputs do not go together");
  const int64_t channels = x.dims()[1], height = x.dims()[2], width = x.dims()[3], count = rois.dims()[0];
  const Dims dims{count, channels, out_h, out_w};
  MTS_TRY(c.check_dims(dims));
  if (height == 0 || width == 0 || ratio > 1 << 12)
    return c.bad("it pools an empty image, or sampling_ratio is too large");
  MTS_ASSIGN(const std::vector<double> image, to_doubles(c, x));
  MTS_ASSIGN(const std::vector<double> roi, to_doubles(c, rois));
  std::vector<double> out(static_cast<size_t>(product(dims)), 0);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t b = batches[static_cast<size_t>(r)];
    if (b < 0 || b >= x.dims()[0])
      return c.bad(fmt::format("a region lies in image {} of {}", b, x.dims()[0]));
    const double shift = half_pixel ? 0.5 : 0;
    const double* p = roi.data() + r * 4;
    const double x1 = p[0] * scale - shift, y1 = p[1] * scale - shift;
    double w = p[2] * scale - shift - x1, h = p[3] * scale - shift - y1;
    if (!half_pixel) {
      w = std::max(w, 1.0);
      h = std::max(h, 1.0);
    }
    const double bin_h = h / static_cast<double>(out_h), bin_w = w / static_cast<double>(out_w);
    const auto samples = [&](double bin) {
      return ratio > 0 ? ratio : static_cast<int64_t>(std::clamp(std::ceil(bin), 0.0, 4096.0));
    };
    const int64_t grid_h = samples(bin_h), grid_w = samples(bin_w);
    for (int64_t ph = 0; ph < out_h; ++ph) {
      for (int64_t pw = 0; pw < out_w; ++pw) {
        std::vector<std::array<Corner, 4>> places;
        for (int64_t i = 0; i < grid_h; ++i) {
          for (int64_t j = 0; j < grid_w; ++j) {
            const double y = y1 + static_cast<double>(ph) * bin_h +
                             (static_cast<double>(i) + 0.5) * bin_h / static_cast<double>(grid_h);
            const double xx = x1 + static_cast<double>(pw) * bin_w +
                              (static_cast<double>(j) + 0.5) * bin_w / static_cast<double>(grid_w);
            places.push_back(corners_of(y, xx, height, width));
          }
        }
        for (int64_t channel = 0; channel < channels; ++channel) {
          const double* plane = image.data() + (b * channels + channel) * height * width;
          double sum = 0, largest = -INFINITY;
          for (const std::array<Corner, 4>& place : places) {
            for (const Corner& corner : place) {
              sum += corner.weight * plane[corner.at];
              largest = std::max(largest, corner.weight * plane[corner.at]);
            }
          }
          const double average = sum / static_cast<double>(std::max<int64_t>(1, grid_h * grid_w));
          out[static_cast<size_t>(((r * channels + channel) * out_h + ph) * out_w + pw)] =
              mode == "avg" ? average : (places.empty() ? 0 : largest);
        }
      }
    }
  }
  MTS_ASSIGN(Tensor result, from_doubles(c, out, x.dtype(), dims));
  return one(std::move(result));
}

constexpr Operator kTable[] = {
    {"NonMaxSuppression", "", 10, kLatest, 2, kPlain, non_max_suppression},
    {"RoiAlign", "", 10, kLatest, 3, kWiden, roi_align},
};

}  // namespace

std::span<const Operator> detection_operators() { return kTable; }

}  // namespace mts::ref
