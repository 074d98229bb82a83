#include <mts/version.h>

#include <string>

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app{"Stitches weight-shared neural networks into one ONNX graph."};
  app.name("mts");
  app.set_version_flag("--version", std::string(mts::version()));
  CLI11_PARSE(app, argc, argv);
  return 0;
}
