// Einsum: every letter is an axis of one loop nest; operands are read through strides (a diagonal adds two of
// them up). Operands are contracted pairwise from left to right, so that the work stays that of matrix
// products.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

// An axis label: a letter, or for the axes of an ellipsis, counted from the last one, a negative number.
using Labels = std::vector<int>;

struct Term {
  Labels labels;
  Tensor tensor;
};

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
  bool explicit_output = false;
};

Equation parse(std::string text) {
  std::erase(text, ' ');
  Equation equation;
  const size_t arrow = text.find("->");
  equation.explicit_output = arrow != std::string::npos;
  if (equation.explicit_output) equation.output = text.substr(arrow + 2);
  std::string left = text.substr(0, arrow);
  size_t start = 0;
  while (true) {
    const size_t comma = left.find(',', start);
    equation.inputs.push_back(left.substr(start, comma - start));
    if (comma == std::string::npos) return equation;
    start = comma + 1;
  }
}

// Labels of one term; `ellipsis` is how many axes "..." stands for.
Result<Labels> labels_of(const Call& c, const std::string& term, size_t ellipsis) {
  Labels labels;
  bool seen = false;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] == '.') {
      if (seen || term.compare(i, 3, "...") != 0) return c.bad("its equation is malformed");
      seen = true;
      for (size_t k = 0; k < ellipsis; ++k) labels.push_back(-static_cast<int>(ellipsis - k));
      i += 2;
    } else if ((term[i] >= 'a' && term[i] <= 'z') || (term[i] >= 'A' && term[i] <= 'Z')) {
      labels.push_back(term[i]);
    } else {
      return c.bad("its equation is malformed");
    }
  }
  return labels;
}

Dims strides_for(const Term& term, const Labels& loop) {
  const Dims own = strides_of(term.tensor.dims());
  Dims strides(loop.size(), 0);
  for (size_t i = 0; i < term.labels.size(); ++i) {
    const auto at = std::ranges::find(loop, term.labels[i]) - loop.begin();
    if (term.tensor.dims()[i] != 1) strides[static_cast<size_t>(at)] += own[i];
  }
  return strides;
}

// Contracts one or two terms to `kept`.
Result<Term> contract(const Call& c, const Term& a, const Term* b, const Labels& kept,
                      const std::map<int, int64_t>& sizes) {
  Labels loop = kept;
  for (const Term* term : {&a, b}) {
    if (!term) continue;
    for (int label : term->labels) {
      if (std::ranges::find(loop, label) == loop.end()) loop.push_back(label);
    }
  }
  Dims dims, out_dims;
  for (size_t i = 0; i < loop.size(); ++i) {
    dims.push_back(sizes.at(loop[i]));
    if (i < kept.size()) out_dims.push_back(dims.back());
  }
  Dims out_strides = strides_of(out_dims);
  out_strides.resize(loop.size(), 0);
  MTS_ASSIGN(Tensor out, c.make(a.tensor.dtype(), out_dims));
  const Dims a_strides = strides_for(a, loop), b_strides = b ? strides_for(*b, loop) : Dims(loop.size(), 0);
  const bool known = visit(kNumeric, a.tensor.dtype(), [&]<class T>(Tag<T>) {
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
    std::vector<Sum> sums(static_cast<size_t>(out.element_count()), Sum{0});
    const T unit{1};
    const Rows<3> rows(dims, {a_strides, b_strides, out_strides});
    rows.for_each([&](const std::array<int64_t, 3>& at, int64_t length) {
      const T* x = a.tensor.as<T>() + at[0];
      const T* y = b ? b->tensor.as<T>() + at[1] : &unit;
      Sum* to = sums.data() + at[2];
      for (int64_t i = 0; i < length; ++i) {
        to[i * rows.inner[2]] +=
            static_cast<Sum>(x[i * rows.inner[0]]) * static_cast<Sum>(y[i * rows.inner[1]]);
      }
    });
    for (size_t i = 0; i < sums.size(); ++i) out.mutable_as<T>()[i] = static_cast<T>(sums[i]);
  });
  if (!known) return c.bad_dtype(a.tensor);
  return Term{kept, std::move(out)};
}

Outputs einsum(const Call& c) {
  const Equation equation = parse(c.node.string_or("equation", ""));
  if (equation.inputs.size() != c.inputs.size())
    return c.bad("its equation has another number of terms than inputs");
  size_t ellipsis = 0;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(i)) return c.bad("an input is missing");
    const std::string& term = equation.inputs[i];
    if (term.find('.') == std::string::npos) continue;
    const size_t letters = term.size() - std::min<size_t>(term.size(), 3);
    if (c.in(i).dims().size() < letters) return c.bad("its equation has more letters than an input has axes");
    ellipsis = std::max(ellipsis, c.in(i).dims().size() - letters);
  }
  std::vector<Term> terms;
  std::map<int, int64_t> sizes;
  std::map<int, int> occurrences;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Tensor& x = c.in(i);
    if (x.dtype() != c.in(0).dtype()) return c.bad("its inputs have different types");
    const std::string& text = equation.inputs[i];
    const size_t own = text.find('.') == std::string::npos
                           ? 0
                           : x.dims().size() - (text.size() - std::min<size_t>(text.size(), 3));
    MTS_ASSIGN(Labels labels, labels_of(c, text, own));
    if (labels.size() != x.dims().size()) return c.bad("its equation does not fit the rank of an input");
    for (size_t k = 0; k < labels.size(); ++k) {
      int64_t& size = sizes.try_emplace(labels[k], x.dims()[k]).first->second;
      if (size == 1) size = x.dims()[k];
      if (x.dims()[k] != size && x.dims()[k] != 1)
        return c.bad("a letter stands for axes of different lengths");
      ++occurrences[labels[k]];
    }
    terms.push_back({std::move(labels), x});
  }
  Labels output;
  if (equation.explicit_output) {
    MTS_ASSIGN(output, labels_of(c, equation.output, ellipsis));
  } else {
    for (size_t k = 0; k < ellipsis; ++k) output.push_back(-static_cast<int>(ellipsis - k));
    for (const auto& [label, count] : occurrences) {
      if (label > 0 && count == 1) output.push_back(label);
    }
  }
  for (size_t i = 0; i < output.size(); ++i) {
    if (!sizes.contains(output[i])) return c.bad("its equation has a letter in the output that no input has");
    if (std::count(output.begin(), output.end(), output[i]) > 1)
      return c.bad("its output names an axis twice");
  }
  while (terms.size() > 2) {  // keep what later terms or the output still need
    Labels kept;
    const auto needed = [&](int label) {
      if (std::ranges::find(output, label) != output.end()) return true;
      return std::any_of(terms.begin() + 2, terms.end(),
                         [&](const Term& t) { return std::ranges::find(t.labels, label) != t.labels.end(); });
    };
    for (size_t t = 0; t < 2; ++t) {
      for (int label : terms[t].labels) {
        if (needed(label) && std::ranges::find(kept, label) == kept.end()) kept.push_back(label);
      }
    }
    MTS_ASSIGN(terms[1], contract(c, terms[0], &terms[1], kept, sizes));
    terms.erase(terms.begin());
  }
  MTS_ASSIGN(Term result, contract(c, terms[0], terms.size() > 1 ? &terms[1] : nullptr, output, sizes));
  return one(std::move(result.tensor));
}

constexpr Operator kTable[] = {
    {"Einsum", "", 12, kLatest, 1, kWiden, einsum},
};

}  // namespace

std::span<const Operator> einsum_operators() { return kTable; }

}  // namespace mts::ref
