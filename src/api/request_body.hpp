// A request's body: let in when there is memory for it, read, checked against the contract.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "async/semaphore.hpp"
#include "async/task.hpp"
#include "contract/bytes.hpp"
#include "contract/call.hpp"
#include "contract/operation.hpp"
#include "contract/validator.hpp"
#include "json/json.hpp"
#include "net/http.hpp"

namespace hearth::api {

// The memory that the bodies of all requests may take together, with what becomes of them. Thread: any.
class BodyMemory {
 public:
  BodyMemory(std::size_t bytes, std::chrono::milliseconds patience)
      : bytes_(bytes), patience_(patience), semaphore_(bytes) {}

  // For that many bytes of the operation's body. ApiError 503 when it cannot be had in time.
  Task<async::Semaphore::Permit> reserve(const contract::Operation& operation, std::size_t bytes);
  // For that many bytes, whatever they are.
  Task<async::Semaphore::Permit> reserve_exactly(std::size_t bytes);

 private:
  std::size_t bytes_;
  std::chrono::milliseconds patience_;
  async::Semaphore semaphore_;
};

// Holds the body and its memory as long as the call that refers to it runs. Thread: the session's.
class RequestBody {
 public:
  // For operations with a JSON body: puts it into `call`, and the names of members without effect into
  // `call.ignored`. Throws ApiError 415, 413, 503, 400, and what the reader throws.
  Task<void> receive_json(contract::Call& call, const net::RequestHead& head, net::BodyReader& reader,
                          BodyMemory& memory, const contract::Validator& validator);

  // For operations with a multipart body: puts the fields into `call.body`, the files, which the intake took
  // while they came, into `call.files`. Takes the same little memory for files of any size. form_body.cpp.
  // Throws as receive_json, and what the intake throws.
  Task<void> receive_form(contract::Call& call, const net::RequestHead& head, net::BodyReader& reader,
                          BodyMemory& memory, const contract::Validator& validator,
                          contract::FileIntake& intake);

  // Gives the memory back: no handler runs any more.
  void release();

 private:
  std::optional<async::Semaphore::Permit> permit_;
  std::optional<json::Document> document_;
  std::optional<json::value> form_;
};

}  // namespace hearth::api
