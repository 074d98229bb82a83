// Strings: StringConcat, StringSplit, StringNormalizer, RegexFullMatch, TfIdfVectorizer.
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace mts::ref {
namespace {

Outputs string_concat(const Call& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  if (a.dtype() != DType::kString || b.dtype() != DType::kString) return c.bad("its inputs are not strings");
  const std::optional<Dims> dims = broadcast(a.dims(), b.dims());
  if (!dims)
    return c.bad(fmt::format("{} and {} do not broadcast", to_string(a.dims()), to_string(b.dims())));
  MTS_ASSIGN(Tensor out, c.make(DType::kString, *dims));
  const Tensor x = expand(a, *dims), y = expand(b, *dims);
  for (size_t i = 0; i < x.strings().size(); ++i) out.mutable_strings()[i] = x.strings()[i] + y.strings()[i];
  return one(std::move(out));
}

// As Python's str.split: without delimiter runs of white space separate.
std::vector<std::string> split_text(const std::string& text, const std::string& delimiter, int64_t most) {
  std::vector<std::string> parts;
  const std::string_view space = " \t\n\r\f\v";
  size_t at = 0;
  if (delimiter.empty()) {
    while (true) {
      at = text.find_first_not_of(space, at);
      if (at == std::string::npos) return parts;
      if (most >= 0 && static_cast<int64_t>(parts.size()) == most) {
        parts.push_back(text.substr(at, text.find_last_not_of(space) + 1 - at));
        return parts;
      }
      const size_t end = std::min(text.find_first_of(space, at), text.size());
      parts.push_back(text.substr(at, end - at));
      at = end;
    }
  }
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t end = text.find(delimiter, at);
    if (end == std::string::npos) break;
    parts.push_back(text.substr(at, end - at));
    at = end + delimiter.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

Outputs string_split(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dtype() != DType::kString) return c.bad("its input is not strings");
  const std::string delimiter = c.node.string_or("delimiter", "");
  const int64_t most = c.node.int_or("maxsplit", -1);
  std::vector<std::vector<std::string>> all;
  size_t longest = 0;
  Tensor counts(DType::kInt64, x.dims());
  for (const std::string& text : x.strings()) {
    all.push_back(split_text(text, delimiter, most));
    longest = std::max(longest, all.back().size());
    counts.mutable_as<int64_t>()[all.size() - 1] = static_cast<int64_t>(all.back().size());
  }
  Dims dims = x.dims();
  dims.push_back(static_cast<int64_t>(longest));
  MTS_ASSIGN(Tensor out, c.make(DType::kString, dims));
  for (size_t i = 0; i < all.size(); ++i)
    std::ranges::copy(all[i], out.mutable_strings().begin() + static_cast<std::ptrdiff_t>(i * longest));
  std::vector<Datum> result = one(std::move(out));
  result.emplace_back(std::move(counts));
  return result;
}

bool is_ascii(const std::string& text) {
  return std::ranges::all_of(text, [](char x) { return static_cast<unsigned char>(x) < 128; });
}

std::string change_case(std::string text, bool upper) {
  for (char& x : text) {
    if (upper ? x >= 'a' && x <= 'z' : x >= 'A' && x <= 'Z') x = static_cast<char>(x ^ 0x20);
  }
  return text;
}

// Removes stop words and changes case; a row that loses everything keeps one empty string.
Outputs string_normalizer(const Call& c) {
  const Tensor& x = c.in(0);
  const bool row = x.dims().size() == 2 && x.dims()[0] == 1;
  if (x.dtype() != DType::kString || (x.dims().size() != 1 && !row))
    return c.bad("strings [C] or [1, C] are expected");
  const std::string action = c.node.string_or("case_change_action", "NONE");
  if (action != "NONE" && action != "UPPER" && action != "LOWER")
    return c.bad("case_change_action is " + action);
  const bool case_sensitive = c.node.int_or("is_case_sensitive", 0) != 0;
  std::vector<std::string> stop_words = c.strings("stopwords");
  const bool needs_case = action != "NONE" || (!case_sensitive && !stop_words.empty());
  for (const std::string& text : x.strings()) {
    if (needs_case && !is_ascii(text)) return c.unsupported("a change of case beyond ASCII");
  }
  if (!case_sensitive) {
    for (std::string& word : stop_words) word = change_case(std::move(word), false);
  }
  std::vector<std::string> kept;
  for (const std::string& text : x.strings()) {
    const std::string key = case_sensitive ? text : change_case(text, false);
    if (std::ranges::find(stop_words, key) != stop_words.end()) continue;
    kept.push_back(action == "NONE" ? text : change_case(text, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();
  const auto count = static_cast<int64_t>(kept.size());
  Tensor out(DType::kString, row ? Dims{1, count} : Dims{count});
  out.mutable_strings() = std::move(kept);
  return one(std::move(out));
}

// Patterns are RE2's; those that std::regex reads alike are enough here.
Outputs regex_full_match(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dtype() != DType::kString) return c.bad("its input is not strings");
  constexpr size_t kLongest = 4096;  // std::regex recurses once a character
  Tensor out(DType::kBool, x.dims());
  try {
    const std::regex pattern(c.node.string_or("pattern", ""));
    for (size_t i = 0; i < x.strings().size(); ++i) {
      if (x.strings()[i].size() > kLongest) return c.unsupported("a string of more than 4096 bytes");
      out.mutable_as<uint8_t>()[i] = std::regex_match(x.strings()[i], pattern);
    }
  } catch (const std::regex_error& error) {
    return c.unsupported(fmt::format("the pattern {}: {}", c.node.string_or("pattern", ""), error.what()));
  }
  return one(std::move(out));
}

// The n-grams of a pool (its items as numbers), each with its position among all n-grams.
template <class Item>
struct Grams {
  std::map<std::vector<Item>, size_t> positions;

  Result<void> fill(const Call& c, const std::vector<Item>& pool) {
    const std::vector<int64_t> starts = c.node.ints_or("ngram_counts", {});
    size_t next = 0;
    for (size_t k = 0; k < starts.size(); ++k) {
      const auto end = k + 1 < starts.size() ? starts[k + 1] : static_cast<int64_t>(pool.size());
      const auto size = static_cast<int64_t>(k) + 1;
      if (starts[k] < 0 || end < starts[k] || end > static_cast<int64_t>(pool.size()) ||
          (end - starts[k]) % size != 0) {
        return c.bad("ngram_counts does not fit the pool");
      }
      for (int64_t at = starts[k]; at < end; at += size)
        positions.try_emplace({pool.begin() + at, pool.begin() + at + size}, next++);
    }
    return {};
  }
};

template <class Item>
Result<std::vector<double>> count_grams(const Call& c, const std::vector<Item>& pool,
                                        const std::vector<Item>& items, int64_t rows, int64_t columns,
                                        int64_t width) {
  Grams<Item> grams;
  MTS_TRY(grams.fill(c, pool));
  const std::vector<int64_t> indexes = c.node.ints_or("ngram_indexes", {});
  const int64_t shortest = c.node.int_or("min_gram_length", 1), longest = c.node.int_or("max_gram_length", 1);
  const int64_t skips = c.node.int_or("max_skip_count", 0);
  if (indexes.size() < grams.positions.size() || shortest < 1 ||
      longest > columns + static_cast<int64_t>(pool.size()) + 64 || skips < 0 || skips > 1 << 20) {
    return c.bad("its n-gram attributes do not go together");
  }
  std::vector<double> counts(static_cast<size_t>(rows * width), 0);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t size = shortest; size <= longest; ++size) {
      for (int64_t step = 1; step <= (size == 1 ? 1 : skips + 1); ++step) {
        for (int64_t start = 0; start + (size - 1) * step < columns; ++start) {
          std::vector<Item> gram;
          for (int64_t k = 0; k < size; ++k)
            gram.push_back(items[static_cast<size_t>(row * columns + start + k * step)]);
          const auto found = grams.positions.find(gram);
          if (found != grams.positions.end())
            counts[static_cast<size_t>(row * width + indexes[found->second])] += 1;
        }
      }
    }
  }
  return counts;
}

Outputs tf_idf_vectorizer(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dims().empty() || x.dims().size() > 2) return c.bad("an input [C] or [N, C] is expected");
  const int64_t rows = x.dims().size() == 2 ? x.dims()[0] : 1, columns = x.dims().back();
  const std::vector<int64_t> indexes = c.node.ints_or("ngram_indexes", {});
  if (indexes.empty() || *std::ranges::min_element(indexes) < 0 ||
      *std::ranges::max_element(indexes) > 1 << 26)
    return c.bad("ngram_indexes is missing or out of range");
  const int64_t width = *std::ranges::max_element(indexes) + 1;
  Dims dims{width};
  if (x.dims().size() == 2) dims.insert(dims.begin(), rows);
  MTS_ASSIGN(Tensor out, c.make(DType::kFloat32, dims));
  std::vector<double> counts;
  if (x.dtype() == DType::kString) {
    MTS_ASSIGN(counts, count_grams(c, c.strings("pool_strings"), x.strings(), rows, columns, width));
  } else {
    MTS_ASSIGN(const std::vector<int64_t> items, c.ints(x));
    MTS_ASSIGN(counts, count_grams(c, c.node.ints_or("pool_int64s", {}), items, rows, columns, width));
  }
  const std::string mode = c.node.string_or("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") return c.bad("mode is " + mode);
  std::vector<double> scale(static_cast<size_t>(width), 1);
  const std::vector<float> weights = c.floats("weights");
  if (!weights.empty() && weights.size() < indexes.size()) return c.bad("weights does not fit ngram_indexes");
  for (size_t i = 0; i < indexes.size() && !weights.empty(); ++i)
    scale[static_cast<size_t>(indexes[i])] = weights[i];
  for (size_t i = 0; i < counts.size(); ++i) {
    const double weight = scale[i % static_cast<size_t>(width)];
    const double value =
        mode == "TF" ? counts[i] : (mode == "IDF" ? (counts[i] > 0 ? weight : 0) : counts[i] * weight);
    out.mutable_as<float>()[i] = static_cast<float>(value);
  }
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"StringConcat", "", 20, kLatest, 2, kPlain, string_concat},
    {"StringSplit", "", 20, kLatest, 1, kPlain, string_split},
    {"StringNormalizer", "", 10, kLatest, 1, kPlain, string_normalizer},
    {"RegexFullMatch", "", 20, kLatest, 1, kPlain, regex_full_match},
    {"TfIdfVectorizer", "", 9, kLatest, 1, kPlain, tf_idf_vectorizer},
};

}  // namespace

std::span<const Operator> text_operators() { return kTable; }

}  // namespace mts::ref
