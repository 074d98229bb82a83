// SHA-256 of a stream, by OpenSSL.
#pragma once

#include <memory>
#include <span>
#include <string>

namespace mts::onnxio {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(std::span<const std::byte> bytes);
  std::string hex();  // once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mts::onnxio
