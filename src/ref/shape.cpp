// Operators that only look at shapes or rearrange whole tensors: Reshape, Transpose, Concat, Split, Shape,
// Constant, ...
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <numeric>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

Tensor int64_tensor(Dims dims, const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>(DType::kInt64, std::move(dims), values);
}

Outputs constant(const Call& c) {
  if (c.node.attributes.size() != 1) return c.bad("Constant takes exactly one attribute");
  const Attribute& attribute = c.node.attributes[0];
  if (const auto* weight = std::get_if<WeightPtr>(&attribute.value))
    return one(Tensor::from_weight(**weight));
  if (const auto* value = std::get_if<int64_t>(&attribute.value)) return one(int64_tensor({}, {*value}));
  if (const auto* values = std::get_if<std::vector<int64_t>>(&attribute.value)) {
    return one(int64_tensor({static_cast<int64_t>(values->size())}, *values));
  }
  if (const auto* value = std::get_if<float>(&attribute.value)) {
    return one(Tensor::of<float>(DType::kFloat32, {}, std::span(value, 1)));
  }
  if (const auto* values = std::get_if<std::vector<float>>(&attribute.value)) {
    return one(Tensor::of<float>(DType::kFloat32, {static_cast<int64_t>(values->size())}, *values));
  }
  if (const auto* value = std::get_if<std::string>(&attribute.value)) {
    Tensor out(DType::kString, {});
    out.mutable_strings()[0] = *value;
    return one(std::move(out));
  }
  if (const auto* values = std::get_if<std::vector<std::string>>(&attribute.value)) {
    Tensor out(DType::kString, {static_cast<int64_t>(values->size())});
    out.mutable_strings() = *values;
    return one(std::move(out));
  }
  return c.unsupported("Constant with a sparse tensor");
}

Outputs constant_of_shape(const Call& c) {
  MTS_ASSIGN(Dims dims, c.ints(c.in(0)));
  const Attribute* attribute = c.node.find("value");
  Tensor value(DType::kFloat32, {1});
  *value.mutable_as<float>() = 0;
  if (attribute) {
    const auto* weight = std::get_if<WeightPtr>(&attribute->value);
    if (!weight || (*weight)->element_count() != 1) return c.bad("value is not a tensor of one element");
    value = Tensor::from_weight(**weight);
  }
  if (!is_byte_addressable(value.dtype())) return c.bad_dtype(value);
  MTS_ASSIGN(Tensor out, c.make(value.dtype(), dims));
  return one(copy_strided(value, 0, Dims(dims.size(), 0), dims));
}

Outputs shape(const Call& c) {
  const Dims& dims = c.in(0).dims();
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamp(c.node.int_or("start", 0)), end = clamp(c.node.int_or("end", rank));
  std::vector<int64_t> values;
  for (int64_t i = start; i < end; ++i) values.push_back(dims[static_cast<size_t>(i)]);
  return one(int64_tensor({static_cast<int64_t>(values.size())}, values));
}

Outputs size(const Call& c) { return one(int64_tensor({}, {c.in(0).element_count()})); }

Outputs reshape(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const auto given, c.ints_attribute_or_input("shape", 1, 5));
  if (!given) return c.bad("its shape is missing");
  Dims dims = *given;
  const bool allow_zero = c.node.int_or("allowzero", 0) != 0;
  std::optional<size_t> open;
  int64_t known = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && !allow_zero) {
      if (i >= x.dims().size()) return c.bad("its shape copies an axis that the input does not have");
      dims[i] = x.dims()[i];
    }
    if (dims[i] < -1 || (dims[i] == -1 && open))
      return c.bad(fmt::format("its shape is {}", to_string(*given)));
    if (dims[i] == -1) {
      open = i;
    } else if (__builtin_mul_overflow(known, dims[i], &known)) {
      return c.bad(fmt::format("its shape is {}", to_string(*given)));
    }
  }
  if (open) {
    if (known == 0 ? x.element_count() != 0 : x.element_count() % known != 0) {
      return c.bad(fmt::format("{} cannot become {}", to_string(x.dims()), to_string(*given)));
    }
    dims[*open] = known == 0 ? 0 : x.element_count() / known;
  } else if (known != x.element_count()) {
    return c.bad(fmt::format("{} cannot become {}", to_string(x.dims()), to_string(*given)));
  }
  return one(x.reshaped(std::move(dims)));
}

Outputs flatten(const Call& c) {
  const Tensor& x = c.in(0);
  const auto rank = static_cast<int64_t>(x.dims().size());
  const int64_t given = c.node.int_or("axis", 1);
  if (given < -rank || given > rank)
    return c.bad(fmt::format("axis {} is out of range for rank {}", given, rank));
  const auto axis = static_cast<size_t>(given < 0 ? given + rank : given);
  return one(x.reshaped({product(x.dims(), 0, axis), product(x.dims(), axis, x.dims().size())}));
}

Outputs squeeze(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const auto given, c.ints_attribute_or_input("axes", 1, 13));
  std::vector<bool> drop(x.dims().size(), false);
  if (given) {
    MTS_ASSIGN(const std::vector<size_t> axes, c.axes(*given, x.dims().size()));
    for (size_t axis : axes) {
      if (x.dims()[axis] != 1) return c.bad(fmt::format("axis {} of {} is not 1", axis, to_string(x.dims())));
      drop[axis] = true;
    }
  }
  Dims dims;
  for (size_t i = 0; i < x.dims().size(); ++i) {
    if (given ? !drop[i] : x.dims()[i] != 1) dims.push_back(x.dims()[i]);
  }
  return one(x.reshaped(std::move(dims)));
}

Outputs unsqueeze(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const auto given, c.ints_attribute_or_input("axes", 1, 13));
  if (!given) return c.bad("its axes are missing");
  const size_t rank = x.dims().size() + given->size();
  MTS_ASSIGN(const std::vector<size_t> axes, c.axes(*given, rank));
  std::vector<bool> added(rank, false);
  for (size_t axis : axes) added[axis] = true;
  Dims dims;
  size_t from = 0;
  for (size_t i = 0; i < rank; ++i) dims.push_back(added[i] ? 1 : x.dims()[from++]);
  return one(x.reshaped(std::move(dims)));
}

Outputs transpose_op(const Call& c) {
  const Tensor& x = c.in(0);
  const std::vector<int64_t> given = c.node.ints_or("perm", {});
  std::vector<size_t> permutation(x.dims().size());
  if (given.empty()) {
    for (size_t i = 0; i < permutation.size(); ++i) permutation[i] = permutation.size() - 1 - i;
  } else {
    MTS_ASSIGN(permutation, c.axes(given, x.dims().size()));
    if (permutation.size() != x.dims().size()) return c.bad("perm does not fit the rank of the input");
  }
  return one(transpose(x, permutation));
}

Outputs concat(const Call& c) {
  const Tensor& first = c.in(0);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 1), first.dims().size()));
  Dims dims = first.dims();
  dims[axis] = 0;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(i)) return c.bad("an input is missing");
    const Tensor& x = c.in(i);
    Dims own = x.dims();
    if (own.size() != dims.size() || x.dtype() != first.dtype())
      return c.bad("its inputs have different ranks or types");
    dims[axis] += own[axis];
    own[axis] = first.dims()[axis];
    if (own != first.dims()) {
      return c.bad(fmt::format("{} and {} cannot be concatenated on axis {}", to_string(first.dims()),
                               to_string(x.dims()), axis));
    }
  }
  MTS_ASSIGN(Tensor out, c.make(first.dtype(), dims));
  const Split3 s = split_at(dims, axis);
  int64_t offset = 0;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const int64_t run = c.in(i).dims()[axis] * s.inner;
    for (int64_t o = 0; o < s.outer; ++o)
      copy_elements(c.in(i), o * run, out, o * s.length * s.inner + offset, run);
    offset += run;
  }
  return one(std::move(out));
}

Outputs split(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  const int64_t length = x.dims()[axis];
  MTS_ASSIGN(const auto given, c.ints_attribute_or_input("split", 1, 13));
  std::vector<int64_t> sizes;
  if (given) {
    sizes = *given;
  } else {
    const int64_t count = c.node.int_or("num_outputs", static_cast<int64_t>(c.node.outputs.size()));
    if (count < 1 || (count > length && length > 0)) return c.bad("num_outputs does not fit the axis");
    const int64_t size = (length + count - 1) / count;
    for (int64_t i = 0; i < count; ++i) sizes.push_back(std::clamp<int64_t>(length - i * size, 0, size));
  }
  int64_t total = 0;
  for (int64_t size : sizes) {
    if (size < 0 || size > length)
      return c.bad(fmt::format("it splits an axis of length {} into {}", length, to_string(sizes)));
    total += size;
  }
  if (total != length)
    return c.bad(fmt::format("it splits an axis of length {} into {}", length, to_string(sizes)));
  std::vector<Datum> result;
  int64_t start = 0;
  const Dims strides = strides_of(x.dims());
  for (int64_t size : sizes) {
    Dims dims = x.dims();
    dims[axis] = size;
    result.emplace_back(copy_strided(x, start * strides[axis], strides, dims));
    start += size;
  }
  if (result.size() < c.node.outputs.size()) return c.bad("it has more outputs than parts");
  return result;
}

Outputs expand_op(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Dims wanted, c.ints(c.in(1)));
  const std::optional<Dims> dims = broadcast(x.dims(), wanted);
  if (!dims) return c.bad(fmt::format("{} does not expand to {}", to_string(x.dims()), to_string(wanted)));
  MTS_TRY(c.check_dims(*dims));
  return one(expand(x, *dims));
}

Outputs tile(const Call& c) {
  const Tensor& x = c.in(0);
  if (c.version < 6) return c.unsupported("Tile before opset 6");
  MTS_ASSIGN(const Dims repeats, c.ints(c.in(1)));
  if (repeats.size() != x.dims().size()) return c.bad("its repeats do not fit the rank of the input");
  // Read as [repeat, dim] pairs, where the repeats have stride 0.
  Dims nested, strides, dims;
  const Dims own = strides_of(x.dims());
  for (size_t i = 0; i < repeats.size(); ++i) {
    if (repeats[i] < 0 || repeats[i] > (int64_t{1} << 31))
      return c.bad(fmt::format("its repeats are {}", to_string(repeats)));
    nested.insert(nested.end(), {repeats[i], x.dims()[i]});
    strides.insert(strides.end(), {0, own[i]});
    dims.push_back(repeats[i] * x.dims()[i]);
  }
  MTS_TRY(c.check_dims(dims));
  return one(copy_strided(x, 0, strides, nested).reshaped(dims));
}

// [N, C, H, W] -> [N, C / b^2, H * b, W * b]
Outputs depth_to_space(const Call& c) {
  const Tensor& x = c.in(0);
  const int64_t b = c.node.int_or("blocksize", 0);
  if (x.dims().size() != 4 || b < 1 || b > 1 << 15 || x.dims()[1] % (b * b) != 0)
    return c.bad("blocksize does not fit the input");
  const std::string mode = c.node.string_or("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") return c.bad("mode is neither DCR nor CRD");
  const int64_t n = x.dims()[0], depth = x.dims()[1] / (b * b), h = x.dims()[2], w = x.dims()[3];
  const bool dcr = mode == "DCR";
  const Tensor split_up = x.reshaped(dcr ? Dims{n, b, b, depth, h, w} : Dims{n, depth, b, b, h, w});
  const std::array<size_t, 6> dcr_order{0, 3, 4, 1, 5, 2}, crd_order{0, 1, 4, 2, 5, 3};
  return one(transpose(split_up, dcr ? dcr_order : crd_order).reshaped({n, depth, h * b, w * b}));
}

Outputs space_to_depth(const Call& c) {
  const Tensor& x = c.in(0);
  const int64_t b = c.node.int_or("blocksize", 0);
  if (x.dims().size() != 4 || b < 1 || x.dims()[2] % b != 0 || x.dims()[3] % b != 0)
    return c.bad("blocksize does not fit the input");
  const int64_t n = x.dims()[0], depth = x.dims()[1], h = x.dims()[2] / b, w = x.dims()[3] / b;
  const std::array<size_t, 6> order{0, 3, 5, 1, 2, 4};
  return one(transpose(x.reshaped({n, depth, h, b, w, b}), order).reshaped({n, depth * b * b, h, w}));
}

constexpr Operator kTable[] = {
    {"Constant", "", 1, kLatest, 0, kPlain, constant},
    {"ConstantOfShape", "", 9, kLatest, 1, kPlain, constant_of_shape},
    {"Shape", "", 1, kLatest, 1, kPlain, shape},
    {"Size", "", 1, kLatest, 1, kPlain, size},
    {"Reshape", "", 1, kLatest, 1, kPlain, reshape},
    {"Flatten", "", 1, kLatest, 1, kPlain, flatten},
    {"Squeeze", "", 1, kLatest, 1, kPlain, squeeze},
    {"Unsqueeze", "", 1, kLatest, 1, kPlain, unsqueeze},
    {"Transpose", "", 1, kLatest, 1, kPacked, transpose_op},
    {"Concat", "", 1, kLatest, 1, kPacked, concat},
    {"Split", "", 2, kLatest, 1, kPacked, split},
    {"Expand", "", 8, kLatest, 2, kPacked, expand_op},
    {"Tile", "", 6, kLatest, 2, kPacked, tile},
    {"DepthToSpace", "", 1, kLatest, 1, kPacked, depth_to_space},
    {"SpaceToDepth", "", 1, kLatest, 1, kPacked, space_to_depth},
};

}  // namespace

std::span<const Operator> shape_operators() { return kTable; }

}  // namespace mts::ref
