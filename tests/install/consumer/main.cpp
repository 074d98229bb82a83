// Reads a model and makes it ready to run: enough to need everything that mts itself links.
#include <mts/executor.h>
#include <mts/model_io.h>
#include <mts/version.h>

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const mts::Result<mts::Model> model = mts::load_model(argv[1], "a");
  if (!model) return std::fprintf(stderr, "%s\n", model.error().message.c_str()), 1;
  const auto session = mts::create_session(*model);
  if (!session) return std::fprintf(stderr, "%s\n", session.error().message.c_str()), 1;
  std::printf("mts %s read a model of %zu nodes\n", std::string(mts::version()).c_str(),
              model->graph.node_count());
  return 0;
}
