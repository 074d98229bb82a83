#include "check/npy.h"

#include "check/compare.h"
#include "check/file.h"

#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::check {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string path_of(const std::string& name) { return "tests/check/npy/" + name + ".npy"; }

Tensor read(const std::string& name) {
  Result<Tensor> tensor = read_npy(path_of(name));
  EXPECT_TRUE(tensor.has_value()) << tensor.error().to_string();
  return tensor ? *tensor : Tensor();
}

std::string refusal(const std::string& bytes) {
  const Result<Tensor> tensor = parse_npy(bytes, "x.npy");
  EXPECT_FALSE(tensor.has_value());
  if (tensor) return "";
  EXPECT_EQ(tensor.error().code, ErrorCode::kModel);
  EXPECT_EQ(tensor.error().where.file, "x.npy");
  return tensor.error().message;
}

TEST(Npy, ReadsEveryNumberTypeOfNumPy) {
  const std::pair<const char*, DType> cases[] = {
      {"f2", DType::kFloat16}, {"f4", DType::kFloat32}, {"f8", DType::kFloat64}, {"i1", DType::kInt8},
      {"i2", DType::kInt16},   {"i4", DType::kInt32},   {"i8", DType::kInt64},
  };
  for (const auto& [name, dtype] : cases) {
    SCOPED_TRACE(name);
    const Tensor tensor = read(name);
    EXPECT_EQ(tensor.dtype(), dtype);
    EXPECT_THAT(tensor.dims(), ElementsAre(2, 3));
    EXPECT_THAT(doubles_of(tensor), ElementsAre(-2, -1, 0, 1, 2, 3));
  }
  const std::pair<const char*, DType> unsigned_cases[] = {{"u1", DType::kUint8},
                                                          {"u2", DType::kUint16},
                                                          {"u4", DType::kUint32},
                                                          {"u8", DType::kUint64},
                                                          {"bfloat16", DType::kBfloat16}};
  for (const auto& [name, dtype] : unsigned_cases) {
    SCOPED_TRACE(name);
    const Tensor tensor = read(name);
    EXPECT_EQ(tensor.dtype(), dtype);
    EXPECT_THAT(doubles_of(tensor), ElementsAre(0, 1, 2, 3, 4, 5));
  }
  EXPECT_THAT(doubles_of(read("bool")), ElementsAre(1, 0, 1, 0, 1, 0));
  EXPECT_EQ(read("c8").dtype(), DType::kComplex64);
  EXPECT_EQ(read("c16").as<double>()[10], 3);
}

TEST(Npy, ReadsFortranOrder) {
  const Tensor tensor = read("fortran");
  EXPECT_THAT(tensor.dims(), ElementsAre(2, 3, 4));
  for (int i = 0; i < 24; ++i) EXPECT_EQ(tensor.as<float>()[i], static_cast<float>(i));
}

TEST(Npy, ReadsScalarsAndEmptyArrays) {
  EXPECT_THAT(read("scalar").dims(), ElementsAre());
  EXPECT_EQ(read("scalar").as<float>()[0], 2.5f);
  EXPECT_THAT(read("empty").dims(), ElementsAre(0, 3));
  EXPECT_THAT(read("vector").dims(), ElementsAre(5));
}

TEST(Npy, ReadsStrings) {
  const Tensor unicode = read("unicode");
  EXPECT_EQ(unicode.dtype(), DType::kString);
  EXPECT_THAT(unicode.dims(), ElementsAre(2, 2));
  EXPECT_THAT(unicode.strings(), ElementsAre("a", "héllo", "", "日本𝄞"));
  EXPECT_THAT(read("bytes").strings(), ElementsAre("ab", "c"));
}

TEST(Npy, ReadsNewerFormats) {
  for (const char* name : {"version2", "version3"}) {
    EXPECT_THAT(doubles_of(read(name)), ElementsAre(0, 1, 2, 3, 4, 5)) << name;
  }
}

TEST(Npy, SaysWhyItRefuses) {
  EXPECT_THAT(refusal(read_file(path_of("big_endian")).value()), HasSubstr("x.astype('<f4')"));
  EXPECT_THAT(refusal(read_file(path_of("object")).value()), HasSubstr("Python objects"));
  EXPECT_THAT(refusal(read_file(path_of("structured")).value()), HasSubstr("('x', '<f4')"));
  EXPECT_THAT(refusal("PK\3\4 this is a zip archive"), HasSubstr("is no .npy file"));
  EXPECT_THAT(refusal(""), HasSubstr("is no .npy file"));
}

TEST(Npy, RefusesEveryTruncation) {
  const std::string bytes = read_file(path_of("f4")).value();
  for (size_t size = 0; size < bytes.size(); ++size) refusal(bytes.substr(0, size));
  EXPECT_THAT(refusal(bytes.substr(0, bytes.size() - 1)), HasSubstr("truncated: 23 of 24 bytes"));
  EXPECT_THAT(refusal(bytes + "x"), HasSubstr("bytes after its data"));
}

TEST(Npy, RefusesShapesThatCannotBe) {
  std::string bytes = read_file(path_of("f4")).value();
  for (const std::string shape :
       {"(9999999999, 9999999999)", "(-2, 3)", "(2; 3)", "(2, 3", "99999999999999999999"}) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
    header.resize(117, ' ');
    refusal(bytes.substr(0, 10) + header + "\n" + bytes.substr(128));
  }
}

// What NumPy wrote comes out again byte for byte.
TEST(Npy, WritesWhatNumPyWrites) {
  for (const char* name : {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16",
                           "bool", "scalar", "empty", "vector", "unicode"}) {
    const Result<std::string> written = format_npy(read(name));
    ASSERT_TRUE(written.has_value()) << name;
    EXPECT_EQ(*written, read_file(path_of(name)).value()) << name;
  }
}

TEST(Npy, WritesWhatNumPyHasNoTypeForAsIntegers) {
  const Tensor bfloat16 = parse_npy(format_npy(read("bfloat16")).value(), "x").value();
  EXPECT_EQ(bfloat16.dtype(), DType::kUint16);
  EXPECT_EQ(bfloat16.as<uint16_t>()[1], 0x3f80);
  Tensor packed(DType::kInt4, {3});
  packed.mutable_data()[0] = std::byte{0x1f};  // -1, 1
  packed.mutable_data()[1] = std::byte{0x08};  // -8
  const Tensor int4 = parse_npy(format_npy(packed).value(), "x").value();
  EXPECT_EQ(int4.dtype(), DType::kInt8);
  EXPECT_THAT(doubles_of(int4), ElementsAre(-1, 1, -8));
  Tensor raw(DType::kString, {2});
  raw.mutable_strings() = {"\xff\xfe", "abc"};
  EXPECT_THAT(parse_npy(format_npy(raw).value(), "x").value().strings(), ElementsAre("\xff\xfe", "abc"));
}

TEST(WriteFile, LeavesNothingBehindWhenItFails) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "mts_write_file";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "taken");
  const Result<void> result = write_npy(folder / "taken", read("f4"));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kIo);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_FALSE(write_npy(folder / "absent" / "x.npy", read("f4")).has_value());
  ASSERT_TRUE(write_npy(folder / "x.npy", read("f4")).has_value());
  EXPECT_EQ(read_file(folder / "x.npy").value(), read_file(path_of("f4")).value());
}

}  // namespace
}  // namespace mts::check
