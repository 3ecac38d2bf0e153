// A second kind of child, for tests: a small Python program that sorts texts into loud and quiet ones, and
// that crashes, grows, hangs or refuses to start where it is told to. Its adapter shows all that a new kind
// of engine has to say.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "engine/backend.hpp"
#include "engine/catalogue/model.hpp"
#include "engine/engine_spec.hpp"
#include "engine/process/child_adapter.hpp"
#include "net/http_client.hpp"

namespace hearth::engine::testing {

// `mode` is how it starts: "ready"; "deaf" never listens; "loading" listens and is never up; "mute" is up and
// computes nothing; "broken" ends at once.
constexpr std::string_view sorter_program = R"(
import json, os, socketserver, sys, time
from http.server import BaseHTTPRequestHandler
path, mode = sys.argv[1:]
if mode == "broken":
    print("the sorter has lost its scales", flush=True)
    sys.exit(7)
if mode == "deaf":
    time.sleep(300)
hoard = []

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        self.answer(503 if mode == "loading" else 200, {})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/crash":
            os._exit(9)
        if self.path == "/grow":
            hoard.append(bytearray(os.urandom(1024) * 1024 * body["mib"]))
        loud = [sum(c.isupper() for c in t) / max(1, len(t)) for t in body.get("texts", [])]
        self.answer(500 if mode == "mute" else 200, {"loud": loud})
    def address_string(self):
        return "unix"

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

Server(path, Handler).serve_forever()
)";

class SorterBackend final : public Backend, public ClassificationEngine {
 public:
  explicit SorterBackend(const std::string& socket_path)
      : client_({.scheme = "unix", .host = socket_path, .port = 0}, {}) {}

  ClassificationEngine* classification() override { return this; }

  Task<Classification> classify(ClassificationRequest request, CallContext&) override {
    json::array texts;
    for (const std::string& text : request.texts)
      texts.push_back(json::value(text));
    json::object body;
    body["texts"] = std::move(texts);
    const json::value answer = co_await ask("/classify", json::write(body));
    Classification out;
    for (const json::value& loud : answer.as_object().at("loud").as_array()) {
      const double share = json::as_number(loud).value_or(0);
      out.texts.push_back({{"loud", share}, {"quiet", 1 - share}});
    }
    co_return out;
  }

  Task<void> probe(CallContext& call) override {
    ClassificationRequest request{.texts = {"Ready"}};
    co_await classify(std::move(request), call);
  }

  // Orders that no real engine takes.
  Task<void> crash() { co_await ask("/crash", "{}"); }
  Task<void> grow(int mebibytes) { co_await ask("/grow", fmt::format(R"({{"mib":{}}})", mebibytes)); }

 private:
  Task<json::value> ask(std::string target, std::string body) {
    try {
      net::ClientRequest request{.target = std::move(target), .body = std::move(body)};
      auto reply = co_await client_.send(std::move(request));
      const int status = reply->head().status;
      const std::string text = co_await reply->read_all(1 << 20);
      if (status == 200) co_return json::parse(text).value();
    } catch (const net::ClientError&) {
    }
    throw ApiError::unavailable("engine_unavailable", "The sorter does not answer.");
  }

  net::HttpClient client_;
};

class SorterEngine final : public EngineSpec, public ChildAdapter {
 public:
  struct Spec {
    std::string script;  // a file with sorter_program
    std::string mode = "ready";
    std::uint64_t memory_bytes = 64 << 20;
    std::uint64_t memory_most = 0;
    bool operator==(const Spec&) const = default;
  };
  explicit SorterEngine(Spec spec) : spec_(std::move(spec)) {}

  std::string_view kind() const override { return "sorter"; }
  json::object render() const override { return {{"script", spec_.script}, {"mode", spec_.mode}}; }
  bool equals(const EngineSpec& other) const override {
    return spec_ == static_cast<const SorterEngine&>(other).spec_;
  }
  std::string place() const override { return spec_.script; }
  EngineFacts read_facts() const override {
    return {.capabilities = {Capability::classification}, .memory_bytes = spec_.memory_bytes};
  }
  std::string summarize() const override { return "a sorter"; }
  std::vector<EngineDetail> describe() const override { return {{"script", spec_.script}}; }
  Adapter adapter() const override { return static_cast<const ChildAdapter*>(this); }

  LaunchPlan plan(const LaunchOrder& order) const override {
    return {.child = {.program = order.program,
                      .arguments = {spec_.script, order.socket_path, spec_.mode},
                      .log_file = order.log_file},
            .memory_bytes = spec_.memory_bytes,
            .memory_most = spec_.memory_most,
            .capabilities = {Capability::classification}};
  }
  Task<bool> is_up(const std::string& socket_path) const override {
    return answers_get(socket_path, "/health");
  }
  std::unique_ptr<Backend> connect(const LaunchOrder& order, const std::set<Capability>&) const override {
    return std::make_unique<SorterBackend>(order.socket_path);
  }

 private:
  const Spec spec_;
};

}  // namespace hearth::engine::testing
