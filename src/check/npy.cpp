#include "check/npy.h"

#include "check/file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mts::check {
namespace {

static_assert(std::endian::native == std::endian::little, "mts is for little-endian machines");

constexpr std::string_view kMagic = "\x93NUMPY";

struct Header {
  std::string descr;
  bool fortran_order = false;
  Dims dims;
};

// The header is a Python dictionary literal with exactly three keys.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  std::optional<Header> parse() {
    Header header;
    int keys = 0;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      std::string key;
      if (!quoted(key) || !take(':')) return std::nullopt;
      bool ok = false;
      if (key == "descr") ok = descr(header.descr);
      if (key == "fortran_order") ok = boolean(header.fortran_order);
      if (key == "shape") ok = shape(header.dims);
      if (!ok) return std::nullopt;
      ++keys;
      if (!take(',') && peek() != '}') return std::nullopt;
    }
    return keys == 3 ? std::optional(header) : std::nullopt;
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool quoted(std::string& out) {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return false;
    out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  // A structured type is a list: taken as text up to its end, to be refused by name.
  bool descr(std::string& out) {
    if (peek() != '[') return quoted(out);
    const size_t end = text_.find(']', at_);
    if (end == std::string_view::npos) return false;
    out = text_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return true;
  }
  bool boolean(bool& out) {
    skip();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        out = value;
        return true;
      }
    }
    return false;
  }
  bool shape(Dims& out) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip();
      int64_t dim = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), dim);
      if (error != std::errc() || dim < 0) return false;
      at_ = static_cast<size_t>(end - text_.data());
      take('L');  // written by Python 2
      out.push_back(dim);
      if (!take(',') && peek() != ')') return false;
    }
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

struct ElementType {
  std::string_view descr;
  DType dtype;
};
// The first entry of a dtype is the one that is written.
constexpr std::array kElementTypes = {
    ElementType{"|b1", DType::kBool},      ElementType{"|i1", DType::kInt8},
    ElementType{"|u1", DType::kUint8},     ElementType{"<i2", DType::kInt16},
    ElementType{"<u2", DType::kUint16},    ElementType{"<i4", DType::kInt32},
    ElementType{"<u4", DType::kUint32},    ElementType{"<i8", DType::kInt64},
    ElementType{"<u8", DType::kUint64},    ElementType{"<f2", DType::kFloat16},
    ElementType{"<f4", DType::kFloat32},   ElementType{"<f8", DType::kFloat64},
    ElementType{"<c8", DType::kComplex64}, ElementType{"<c16", DType::kComplex128},
    ElementType{"|V2", DType::kBfloat16},  ElementType{"<V2", DType::kBfloat16},
};

DType dtype_of(std::string descr) {
  if (!descr.empty() && (descr[0] == '=' || descr[0] == '|' || descr[0] == '<')) {
    const std::string_view rest = std::string_view(descr).substr(1);
    for (const ElementType& type : kElementTypes) {
      if (type.descr.substr(1) == rest) return type.dtype;
    }
  }
  return DType::kUndefined;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | (c >> 6));
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | ((c >> 18) & 0x07));
    put(0x80 | ((c >> 12) & 0x3f));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

// Nothing when `text` is not UTF-8.
std::optional<std::u32string> from_utf8(std::string_view text) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0 || i + static_cast<size_t>(length) > text.size()) return std::nullopt;
    char32_t c = length == 1 ? lead : lead & (0x7fu >> length);
    for (int k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + static_cast<size_t>(k)]);
      if (next >> 6 != 2) return std::nullopt;
      c = (c << 6) | (next & 0x3f);
    }
    out.push_back(c);
    i += static_cast<size_t>(length);
  }
  return out;
}

// Element `i` in row-major order lies at `fortran_index(...)` in column-major order.
std::vector<size_t> fortran_order(const Dims& dims, size_t count) {
  std::vector<size_t> strides(dims.size());
  size_t stride = 1;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    strides[axis] = stride;
    stride *= static_cast<size_t>(dims[axis]);
  }
  std::vector<size_t> order(count);
  Dims position;
  position.resize(dims.size());
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    order[i] = at;
    for (size_t axis = dims.size(); axis-- > 0;) {
      at += strides[axis];
      if (++position[axis] < dims[axis]) break;
      at -= strides[axis] * static_cast<size_t>(dims[axis]);
      position[axis] = 0;
    }
  }
  return order;
}

std::string string_at(std::string_view data, size_t width, bool unicode) {
  std::string out;
  if (!unicode) {
    out = data.substr(0, width);
  } else {
    for (size_t i = 0; i < width; i += 4) {
      char32_t c = 0;
      std::memcpy(&c, data.data() + i, 4);
      append_utf8(out, c);
    }
  }
  // NumPy pads with NUL.
  while (!out.empty() && out.back() == '\0') out.pop_back();
  return out;
}

}  // namespace

Result<Tensor> parse_npy(std::string_view bytes, const std::string& name) {
  const auto bad = [&](std::string message) {
    return fail(ErrorCode::kModel, std::move(message), {name, {}, {}});
  };
  if (!bytes.starts_with(kMagic) || bytes.size() < 10) return bad("is no .npy file");
  const int version = bytes[6];
  if (version < 1 || version > 3) return bad(fmt::format("has the unknown .npy format {}", version));
  const size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) return bad("is truncated in its header");
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, version == 1 ? 2 : 4);
  if (bytes.size() - start < length) return bad("is truncated in its header");
  const std::optional<Header> header = HeaderParser(bytes.substr(start, length)).parse();
  if (!header) return bad("has a malformed .npy header");
  const std::string& descr = header->descr;
  std::string_view data = bytes.substr(start + length);

  if (descr.starts_with('>')) {
    return bad(
        fmt::format("is big endian ('{}'), which mts does not read; in NumPy, x.astype('<{}') converts it",
                    descr, descr.substr(1)));
  }
  if (descr.find('O') != std::string::npos)
    return bad("holds pickled Python objects, which mts does not read");
  const bool unicode = descr.size() > 2 && descr[1] == 'U';
  const bool text = unicode || (descr.size() > 2 && descr[1] == 'S');
  DType dtype = text ? DType::kString : dtype_of(descr);
  size_t width = 0;  // bytes of an element
  if (text) {
    const char* const end = descr.data() + descr.size();
    if (std::from_chars(descr.data() + 2, end, width).ptr != end || width > (1u << 28)) {
      return bad(fmt::format("has the malformed type '{}'", descr));
    }
    if (unicode) width *= 4;
  } else if (dtype == DType::kUndefined) {
    return bad(fmt::format("has the type '{}', which mts does not read", descr));
  } else {
    width = static_cast<size_t>(bit_width(dtype)) / 8;
  }

  // Checked before anything of that size is made.
  size_t count = 1;
  for (const int64_t dim : header->dims) {
    if (dim != 0 && count > bytes.size() * 8 / static_cast<size_t>(dim) && width > 0) {
      return bad(fmt::format("is truncated: shape {} needs more bytes than there are",
                             fmt::join(header->dims, "x")));
    }
    count *= static_cast<size_t>(dim);
  }
  if (data.size() < count * width) {
    return bad(fmt::format("is truncated: {} of {} bytes of data", data.size(), count * width));
  }
  if (data.size() > count * width) return bad("has bytes after its data");

  Tensor tensor(dtype, header->dims);
  const bool reorder = header->fortran_order && header->dims.size() > 1;
  const std::vector<size_t> order = reorder ? fortran_order(header->dims, count) : std::vector<size_t>();
  if (text) {
    for (size_t i = 0; i < count; ++i) {
      const size_t from = reorder ? order[i] : i;
      tensor.mutable_strings()[i] = string_at(data.substr(from * width), width, unicode);
    }
  } else if (reorder) {
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(tensor.mutable_data() + i * width, data.data() + order[i] * width, width);
    }
  } else if (count > 0) {
    std::memcpy(tensor.mutable_data(), data.data(), count * width);
  }
  return tensor;
}

Result<Tensor> read_npy(const std::string& path) {
  MTS_ASSIGN(const std::string bytes, read_file(path));
  return parse_npy(bytes, path);
}

namespace {

struct Encoded {
  std::string descr;
  std::string data;
};

Encoded encode_strings(const std::vector<std::string>& strings) {
  std::vector<std::u32string> decoded;
  size_t widest = 1;
  for (const std::string& text : strings) {
    std::optional<std::u32string> wide = from_utf8(text);
    if (!wide) break;
    widest = std::max(widest, wide->size());
    decoded.push_back(std::move(*wide));
  }
  Encoded result;
  if (decoded.size() == strings.size()) {
    result.descr = fmt::format("<U{}", widest);
    result.data.resize(strings.size() * widest * 4);
    for (size_t i = 0; i < decoded.size(); ++i) {
      std::memcpy(result.data.data() + i * widest * 4, decoded[i].data(), decoded[i].size() * 4);
    }
    return result;
  }
  for (const std::string& text : strings) widest = std::max(widest, text.size());
  result.descr = fmt::format("|S{}", widest);
  result.data.resize(strings.size() * widest);
  for (size_t i = 0; i < strings.size(); ++i) {
    std::memcpy(result.data.data() + i * widest, strings[i].data(), strings[i].size());
  }
  return result;
}

Result<Encoded> encode(const Tensor& tensor) {
  const DType dtype = tensor.dtype();
  if (dtype == DType::kString) return encode_strings(tensor.strings());
  const int bits = bit_width(dtype);
  if (bits == 0) return fail(ErrorCode::kModel, fmt::format("{} cannot be written as .npy", name_of(dtype)));
  Encoded result;
  if (bits < 8) {  // packed: written as the values
    result.descr = dtype == DType::kUint4 || dtype == DType::kUint2 ? "|u1" : "|i1";
    if (is_float(dtype))
      return fail(ErrorCode::kModel, fmt::format("{} cannot be written as .npy", name_of(dtype)));
    const Bytes bytes{nullptr, std::span(tensor.data(), tensor.byte_size())};
    for (const int64_t x : Weight::from_bytes(dtype, tensor.dims(), bytes)->as_int64s()) {
      result.data.push_back(static_cast<char>(x));
    }
    return result;
  }
  if (dtype == DType::kBfloat16) {
    result.descr = "<u2";
  } else {
    const auto type = std::ranges::find(kElementTypes, dtype, &ElementType::dtype);
    result.descr = type != kElementTypes.end() ? type->descr : "|u1";  // float8
  }
  if (tensor.element_count() > 0) {
    result.data.assign(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
  }
  return result;
}

}  // namespace

Result<std::string> format_npy(const Tensor& tensor) {
  MTS_ASSIGN(Encoded encoded, encode(tensor));
  const Dims& dims = tensor.dims();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   encoded.descr, fmt::join(dims, ", "), dims.size() == 1 ? "," : "");
  // The data starts at a multiple of 64, the header ends with a newline.
  const size_t prefix = header.size() + 64 < 0xffff ? 10 : 12;
  header.append((64 - (prefix + header.size() + 1) % 64) % 64, ' ');
  header.push_back('\n');
  std::string out(kMagic);
  out.push_back(prefix == 10 ? '\1' : '\2');
  out.push_back('\0');
  const auto length = static_cast<uint32_t>(header.size());
  out.append(reinterpret_cast<const char*>(&length), prefix - 8);
  out += header;
  out += encoded.data;
  return out;
}

Result<void> write_npy(const std::string& path, const Tensor& tensor) {
  MTS_ASSIGN(const std::string bytes, format_npy(tensor));
  return write_file(path, bytes);
}

}  // namespace mts::check
