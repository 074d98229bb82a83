#include "ir/number.h"

#include <mts/weight.h>

#include <cassert>
#include <cstring>
#include <mutex>
#include <variant>

#include <xxhash.h>

namespace mts {
namespace {

std::mutex equal_weights;  // guards Expression::equal

}  // namespace

int64_t element_count(std::span<const int64_t> dims) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  return count;
}

Bytes own_bytes(std::string buffer) {
  auto owner = std::make_shared<const std::string>(std::move(buffer));
  const auto* data = reinterpret_cast<const std::byte*>(owner->data());
  const size_t size = owner->size();
  return {std::move(owner), {data, size}};
}

struct Weight::Expression {
  struct Ref {
    Bytes bytes;
  };
  struct Strings {
    std::vector<std::string> values;
  };
  struct Concat {
    std::vector<WeightPtr> parts;
    size_t axis;
  };
  struct Slice {
    WeightPtr part;
    size_t axis;
    int64_t start;
  };
  struct Gather {
    WeightPtr part;
    size_t axis;
    std::vector<int64_t> indices;
  };
  struct Transpose {
    WeightPtr part;
    std::vector<int64_t> permutation;
  };
  struct Reshape {
    WeightPtr part;
  };
  std::variant<Ref, Strings, Concat, Slice, Gather, Transpose, Reshape> form;
  size_t byte_size = 0;  // what Weight::byte_size() says
  mutable std::once_flag digest_once;
  mutable Digest digest;
  // Weights that were found to be equal byte by byte hold one of these in common, and are not compared again.
  mutable std::shared_ptr<const void> equal;
};

Weight::Weight(DType dtype, Dims dims, std::unique_ptr<Expression> expression)
    : dtype_(dtype), dims_(std::move(dims)), expression_(std::move(expression)) {
  if (const auto* values = strings()) {
    for (const auto& s : *values) expression_->byte_size += s.size();
  } else {
    expression_->byte_size = mts::byte_size(dtype_, element_count());
  }
}
Weight::~Weight() = default;

namespace {

int64_t outer_count(const Dims& dims, size_t axis) { return element_count(std::span(dims).first(axis)); }
int64_t inner_count(const Dims& dims, size_t axis) {
  return element_count(std::span(dims).subspan(axis + 1));
}

// Copies `part` [outer, length, inner] into rows [outer, total, inner] of `out` at `offset` along the axis.
// Byte units.
void copy_rows(std::span<const std::byte> part, size_t outer, size_t part_row, std::byte* out, size_t out_row,
               size_t offset) {
  for (size_t i = 0; i < outer; ++i)
    std::memcpy(out + i * out_row + offset, part.data() + i * part_row, part_row);
}

// The content of a weight as contiguous bytes: where it lies when that is possible, else gathered into
// `buffer`.
std::span<const std::byte> contiguous(const Weight& weight, std::string& buffer) {
  const auto bytes = weight.bytes();
  if (!bytes.empty() || weight.byte_size() == 0) return bytes;
  buffer.resize(weight.byte_size());
  const std::span<std::byte> out(reinterpret_cast<std::byte*>(buffer.data()), buffer.size());
  weight.read(out);
  return out;
}

}  // namespace

WeightPtr Weight::from_bytes(DType dtype, Dims dims, Bytes bytes) {
  assert(bytes.data.size() == mts::byte_size(dtype, mts::element_count(dims)));
  auto expression = std::make_unique<Expression>();
  expression->form = Expression::Ref{std::move(bytes)};
  return WeightPtr(new Weight(dtype, std::move(dims), std::move(expression)));
}

WeightPtr Weight::from_strings(Dims dims, std::vector<std::string> strings) {
  auto expression = std::make_unique<Expression>();
  expression->form = Expression::Strings{std::move(strings)};
  return WeightPtr(new Weight(DType::kString, std::move(dims), std::move(expression)));
}

WeightPtr Weight::concat(std::vector<WeightPtr> parts, int64_t axis) {
  assert(!parts.empty());
  if (parts.size() == 1) return parts.front();
  const DType dtype = parts.front()->dtype();
  Dims dims = parts.front()->dims();
  const auto a = static_cast<size_t>(axis);
  dims[a] = 0;
  for (const auto& part : parts) dims[a] += part->dims()[a];
  auto expression = std::make_unique<Expression>();
  expression->form = Expression::Concat{std::move(parts), a};
  return WeightPtr(new Weight(dtype, std::move(dims), std::move(expression)));
}

WeightPtr Weight::slice(WeightPtr part, int64_t axis, int64_t start, int64_t length) {
  const auto a = static_cast<size_t>(axis);
  if (start == 0 && length == part->dims()[a]) return part;
  const DType dtype = part->dtype();
  Dims dims = part->dims();
  dims[a] = length;
  auto expression = std::make_unique<Expression>();
  expression->form = Expression::Slice{std::move(part), a, start};
  return WeightPtr(new Weight(dtype, std::move(dims), std::move(expression)));
}

WeightPtr Weight::gather(WeightPtr part, int64_t axis, std::vector<int64_t> indices) {
  const auto a = static_cast<size_t>(axis);
  bool contiguous_range = !indices.empty();
  for (size_t i = 1; i < indices.size(); ++i)
    contiguous_range &= indices[i] == indices[0] + static_cast<int64_t>(i);
  if (contiguous_range) return slice(std::move(part), axis, indices[0], static_cast<int64_t>(indices.size()));
  const DType dtype = part->dtype();
  Dims dims = part->dims();
  dims[a] = static_cast<int64_t>(indices.size());
  auto expression = std::make_unique<Expression>();
  expression->form = Expression::Gather{std::move(part), a, std::move(indices)};
  return WeightPtr(new Weight(dtype, std::move(dims), std::move(expression)));
}

WeightPtr Weight::transpose(WeightPtr part, std::vector<int64_t> permutation) {
  const DType dtype = part->dtype();
  bool identity = true;
  for (size_t i = 0; i < permutation.size(); ++i) identity &= permutation[i] == static_cast<int64_t>(i);
  if (identity) return part;
  // The transpose of a transpose is one permutation, so that undoing one gives the stored content back.
  if (const auto* inner = std::get_if<Expression::Transpose>(&part->expression_->form)) {
    std::vector<int64_t> composed(permutation.size());
    for (size_t i = 0; i < permutation.size(); ++i)
      composed[i] = inner->permutation[static_cast<size_t>(permutation[i])];
    return transpose(inner->part, std::move(composed));
  }
  Dims dims(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i) dims[i] = part->dims()[static_cast<size_t>(permutation[i])];
  auto expression = std::make_unique<Expression>();
  expression->form = Expression::Transpose{std::move(part), std::move(permutation)};
  return WeightPtr(new Weight(dtype, std::move(dims), std::move(expression)));
}

WeightPtr Weight::reshape(WeightPtr part, Dims dims) {
  if (part->dims() == dims) return part;
  if (const auto* inner = std::get_if<Expression::Reshape>(&part->expression_->form))
    return reshape(inner->part, std::move(dims));
  const DType dtype = part->dtype();
  if (const auto* strings = part->strings()) return from_strings(std::move(dims), *strings);
  auto expression = std::make_unique<Expression>();
  expression->form = Expression::Reshape{std::move(part)};
  return WeightPtr(new Weight(dtype, std::move(dims), std::move(expression)));
}

WeightPtr Weight::int64s(std::span<const int64_t> values) {
  return from_bytes(
      DType::kInt64, {static_cast<int64_t>(values.size())},
      own_bytes(std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes())));
}

WeightPtr Weight::int64_scalar(int64_t value) {
  return from_bytes(DType::kInt64, {},
                    own_bytes(std::string(reinterpret_cast<const char*>(&value), sizeof value)));
}

WeightPtr Weight::floats(std::span<const float> values, Dims dims) {
  return from_bytes(
      DType::kFloat32, std::move(dims),
      own_bytes(std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes())));
}

int64_t Weight::element_count() const { return mts::element_count(dims_); }

size_t Weight::byte_size() const { return expression_->byte_size; }

std::span<const std::byte> Weight::bytes() const {
  if (const auto* ref = std::get_if<Expression::Ref>(&expression_->form)) return ref->bytes.data;
  if (const auto* reshape = std::get_if<Expression::Reshape>(&expression_->form))
    return reshape->part->bytes();
  return {};
}

const std::vector<std::string>* Weight::strings() const {
  if (const auto* strings = std::get_if<Expression::Strings>(&expression_->form)) return &strings->values;
  return nullptr;
}

void Weight::read(std::span<std::byte> out) const {
  assert(out.size() == byte_size() && dtype_ != DType::kString);
  if (out.empty()) return;
  const size_t element = static_cast<size_t>(bit_width(dtype_)) / 8;
  std::visit(
      [&](const auto& form) {
        using Form = std::decay_t<decltype(form)>;
        std::string buffer;
        if constexpr (std::is_same_v<Form, Expression::Ref>) {
          std::memcpy(out.data(), form.bytes.data.data(), out.size());
        } else if constexpr (std::is_same_v<Form, Expression::Reshape>) {
          form.part->read(out);
        } else if constexpr (std::is_same_v<Form, Expression::Concat>) {
          const auto outer = static_cast<size_t>(outer_count(dims_, form.axis));
          const size_t out_row = out.size() / outer;
          size_t offset = 0;
          for (const auto& part : form.parts) {
            const size_t row = part->byte_size() / outer;
            if (outer == 1) {
              part->read(out.subspan(offset, row));
            } else {
              copy_rows(contiguous(*part, buffer), outer, row, out.data(), out_row, offset);
            }
            offset += row;
          }
        } else if constexpr (std::is_same_v<Form, Expression::Slice>) {
          const auto outer = static_cast<size_t>(outer_count(dims_, form.axis));
          const size_t inner = static_cast<size_t>(inner_count(dims_, form.axis)) * element;
          const size_t in_row = static_cast<size_t>(form.part->dims()[form.axis]) * inner;
          const size_t row = static_cast<size_t>(dims_[form.axis]) * inner;
          const auto source = contiguous(*form.part, buffer).subspan(static_cast<size_t>(form.start) * inner);
          for (size_t i = 0; i < outer; ++i)
            std::memcpy(out.data() + i * row, source.data() + i * in_row, row);
        } else if constexpr (std::is_same_v<Form, Expression::Gather>) {
          const auto outer = static_cast<size_t>(outer_count(dims_, form.axis));
          const size_t inner = static_cast<size_t>(inner_count(dims_, form.axis)) * element;
          const size_t in_row = static_cast<size_t>(form.part->dims()[form.axis]) * inner;
          const auto source = contiguous(*form.part, buffer);
          std::byte* to = out.data();
          for (size_t i = 0; i < outer; ++i)
            for (const int64_t index : form.indices) {
              std::memcpy(to, source.data() + i * in_row + static_cast<size_t>(index) * inner, inner);
              to += inner;
            }
        } else if constexpr (std::is_same_v<Form, Expression::Transpose>) {
          const auto source = contiguous(*form.part, buffer);
          const size_t rank = dims_.size();
          std::vector<size_t> strides(rank);  // of the source, in the order of the output's axes, in bytes
          for (size_t i = 0; i < rank; ++i) {
            const auto axis = static_cast<size_t>(form.permutation[i]);
            strides[i] = static_cast<size_t>(inner_count(form.part->dims(), axis)) * element;
          }
          std::vector<int64_t> position(rank, 0);
          size_t from = 0;
          const auto count = static_cast<size_t>(element_count());
          for (size_t to = 0; to < count; ++to) {
            std::memcpy(out.data() + to * element, source.data() + from, element);
            for (size_t axis = rank; axis-- > 0;) {
              from += strides[axis];
              if (++position[axis] < dims_[axis]) break;
              from -= strides[axis] * static_cast<size_t>(dims_[axis]);
              position[axis] = 0;
            }
          }
        } else {
          assert(false);
        }
      },
      expression_->form);
}

void Weight::stream(const std::function<void(std::span<const std::byte>)>& sink) const {
  if (const auto* concat = std::get_if<Expression::Concat>(&expression_->form);
      concat != nullptr && outer_count(dims_, concat->axis) == 1) {
    for (const auto& part : concat->parts) part->stream(sink);
    return;
  }
  if (const auto* reshape = std::get_if<Expression::Reshape>(&expression_->form)) {
    reshape->part->stream(sink);
    return;
  }
  if (const auto* values = strings()) {
    for (const auto& s : *values) sink(std::as_bytes(std::span(s)));
    return;
  }
  std::string buffer;
  sink(contiguous(*this, buffer));
}

std::vector<int64_t> Weight::as_int64s() const {
  if (!is_integer(dtype_) && dtype_ != DType::kBool) return {};
  std::string buffer;
  return read_numbers<int64_t>(dtype_, contiguous(*this, buffer), element_count());
}

std::vector<double> Weight::as_doubles() const {
  std::string buffer;
  if (dtype_ == DType::kString) return {};
  return read_numbers<double>(dtype_, contiguous(*this, buffer), element_count());
}

Digest Weight::digest() const {
  if (const auto* reshape = std::get_if<Expression::Reshape>(&expression_->form))
    return reshape->part->digest();  // dims do not count
  std::call_once(expression_->digest_once, [this] {
    XXH3_state_t* state = XXH3_createState();
    XXH3_128bits_reset(state);
    const auto type = static_cast<int32_t>(dtype_);
    XXH3_128bits_update(state, &type, sizeof type);
    if (const auto* values = strings()) {
      for (const auto& s : *values) {  // lengths keep ["ab"] and ["a","b"] apart
        const auto length = static_cast<uint64_t>(s.size());
        XXH3_128bits_update(state, &length, sizeof length);
        XXH3_128bits_update(state, s.data(), s.size());
      }
    } else {
      stream([state](std::span<const std::byte> piece) {
        XXH3_128bits_update(state, piece.data(), piece.size());
      });
    }
    const XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    expression_->digest = {hash.low64, hash.high64};
  });
  return expression_->digest;
}

bool Weight::same_content(const Weight& other) const {
  if (this == &other) return true;
  // What was found out of the content that is reshaped is found out once.
  if (const auto* reshape = std::get_if<Expression::Reshape>(&expression_->form))
    return reshape->part->same_content(other);
  if (const auto* reshape = std::get_if<Expression::Reshape>(&other.expression_->form))
    return same_content(*reshape->part);
  if (dtype_ != other.dtype_ || byte_size() != other.byte_size() || element_count() != other.element_count())
    return false;
  if (dtype_ == DType::kString) return *strings() == *other.strings();
  if (digest() != other.digest()) return false;
  {
    const std::scoped_lock lock(equal_weights);
    if (expression_->equal != nullptr && expression_->equal == other.expression_->equal) return true;
  }
  // Contents that are transposed alike are compared as they lie, without a copy.
  const Weight *one = this, *two = &other;
  const auto* transposed = std::get_if<Expression::Transpose>(&one->expression_->form);
  const auto* other_transposed = std::get_if<Expression::Transpose>(&two->expression_->form);
  if (transposed != nullptr && other_transposed != nullptr &&
      transposed->permutation == other_transposed->permutation && dims_ == other.dims_) {
    one = transposed->part.get();
    two = other_transposed->part.get();
  }
  std::string mine, others;
  const auto a = contiguous(*one, mine), b = contiguous(*two, others);
  if (a.data() != b.data() && !a.empty() && std::memcmp(a.data(), b.data(), a.size()) != 0) return false;
  const std::scoped_lock lock(equal_weights);
  if (expression_->equal == nullptr) expression_->equal = std::make_shared<int>();
  other.expression_->equal = expression_->equal;
  return true;
}

}  // namespace mts
