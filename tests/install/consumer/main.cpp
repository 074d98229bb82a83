#include <mts/version.h>

#include <cstdio>
#include <string>

int main() {
  std::printf("linked with mts %s\n", std::string(mts::version()).c_str());
  return 0;
}
