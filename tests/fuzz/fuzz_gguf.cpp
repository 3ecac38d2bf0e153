// The header of a model file: any bytes. What is accepted has sizes that the file can account for, and every
// rule about models has an answer for it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/catalogue/gguf_info.hpp"
#include "engine/llama/spec.hpp"

namespace {

// A file in memory: the reader opens it by its path.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzz_gguf", MFD_CLOEXEC)) {
    if (descriptor_ < 0) std::abort();
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  void write(const std::uint8_t* data, std::size_t size) const {
    if (::ftruncate(descriptor_, 0) != 0) std::abort();
    if (::pwrite(descriptor_, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  }
  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth::engine;
  static const MemoryFile file;
  file.write(data, size);
  const auto info = read_gguf_info(file.path());
  if (!info) {
    if (info.error().find(file.path()) == std::string::npos) std::abort();
    return 0;
  }
  if (info->file_bytes != size) std::abort();
  if (info->architecture.empty()) std::abort();
  if (info->architecture.size() + info->name.size() + info->chat_template.size() > size) std::abort();
  for (const LlamaSpec& spec :
       {LlamaSpec{}, LlamaSpec{.context = 512, .slots = 4, .chat_template = "{{ tools }}"}}) {
    if (derive_capabilities(*info, spec).empty()) std::abort();
    if (context_of(*info, spec) == 0) std::abort();
    if (estimate_memory(*info, spec) < size) std::abort();
  }
  return 0;
}
