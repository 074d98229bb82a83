#include "ref/layout.h"

#include <algorithm>
#include <cstring>

namespace mts::ref {

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return strides;
}

std::optional<Dims> broadcast(const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t db = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (da != db && da != 1 && db != 1) return std::nullopt;
    out[out.size() - 1 - i] = da == 1 ? db : da;
  }
  return out;
}

Dims broadcast_strides(const Dims& dims, const Dims& out) {
  Dims result(out.size(), 0);
  const Dims own = strides_of(dims);
  for (size_t i = 0; i < dims.size(); ++i) {
    const size_t at = out.size() - dims.size() + i;
    result[at] = dims[i] == 1 ? 0 : own[i];
  }
  return result;
}

int64_t product(const Dims& dims, size_t from, size_t to) {
  int64_t result = 1;
  for (size_t i = from; i < to; ++i) result *= dims[i];
  return result;
}

bool is_byte_addressable(DType dtype) {
  return dtype == DType::kString || (bit_width(dtype) >= 8 && bit_width(dtype) % 8 == 0);
}

namespace {

template <size_t kBytes>
struct Opaque {
  std::byte bytes[kBytes];
};

// Calls f with pointers of an opaque type of the element's size (or std::string).
template <class F>
void with_elements(const Tensor& in, Tensor& out, F&& f) {
  if (in.dtype() == DType::kString) return f(in.strings().data(), out.mutable_strings().data());
  switch (bit_width(in.dtype())) {
    case 8:
      return f(in.as<uint8_t>(), out.mutable_as<uint8_t>());
    case 16:
      return f(in.as<uint16_t>(), out.mutable_as<uint16_t>());
    case 32:
      return f(in.as<uint32_t>(), out.mutable_as<uint32_t>());
    case 64:
      return f(in.as<uint64_t>(), out.mutable_as<uint64_t>());
    case 128:
      return f(in.as<Opaque<16>>(), out.mutable_as<Opaque<16>>());
    default:
      return;
  }
}

}  // namespace

Tensor copy_strided(const Tensor& in, int64_t offset, const Dims& strides, const Dims& dims) {
  Tensor out(in.dtype(), dims);
  const Rows<1> rows(dims, {strides});
  with_elements(in, out, [&](const auto* from, auto* to) {
    rows.for_each([&](const std::array<int64_t, 1>& at, int64_t length) {
      const auto* source = from + offset + at[0];
      const int64_t step = rows.inner[0];
      if (step == 1) {
        to = std::copy_n(source, length, to);
      } else if (step == 0) {
        to = std::fill_n(to, length, *source);
      } else {
        for (int64_t i = 0; i < length; ++i) *to++ = source[i * step];
      }
    });
  });
  return out;
}

Tensor transpose(const Tensor& in, std::span<const size_t> permutation) {
  const Dims own = strides_of(in.dims());
  Dims dims(permutation.size()), strides(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i) {
    dims[i] = in.dims()[permutation[i]];
    strides[i] = own[permutation[i]];
  }
  return copy_strided(in, 0, strides, dims);
}

Tensor expand(const Tensor& in, const Dims& dims) {
  if (in.dims() == dims) return in;
  return copy_strided(in, 0, broadcast_strides(in.dims(), dims), dims);
}

Tensor take(const Tensor& in, std::span<const int64_t> index, Dims dims, const Tensor* fill) {
  Tensor out(in.dtype(), std::move(dims));
  with_elements(in, out, [&](const auto* from, auto* to) {
    std::remove_cvref_t<decltype(*to)> filler{};
    if (fill) {
      Tensor scratch(in.dtype(), {1});
      with_elements(*fill, scratch, [&](const auto* source, auto*) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(*source)>,
                                     std::remove_cvref_t<decltype(*to)>>) {
          filler = *source;
        }
      });
    }
    for (size_t i = 0; i < index.size(); ++i) to[i] = index[i] < 0 ? filler : from[index[i]];
  });
  return out;
}

void copy_elements(const Tensor& from, int64_t from_offset, Tensor& to, int64_t to_offset, int64_t count) {
  with_elements(from, to, [&](const auto* source, auto* target) {
    std::copy_n(source + from_offset, count, target + to_offset);
  });
}

Tensor copy_of(const Tensor& in) {
  Tensor out(in.dtype(), in.dims());
  copy_elements(in, 0, out, 0, in.element_count());
  return out;
}

}  // namespace mts::ref
