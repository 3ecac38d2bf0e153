#include "engine/upstream/backend.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <span>
#include <utility>

#include "async/deadline.hpp"
#include "async/interruptible.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "contract/fields.hpp"
#include "engine/upstream/replicas.hpp"
#include "engine/upstream/reply.hpp"
#include "net/http_client.hpp"
#include "net/sse.hpp"

namespace hearth::engine {
namespace {

namespace field = contract::field;
using namespace std::chrono_literals;
using upstream::Asked;
using upstream::ChunkReader;
using upstream::ReplicaSet;
using upstream::Turn;

constexpr std::size_t longest_reply = 256 * 1024 * 1024;  // 2048 wide embeddings
constexpr std::size_t longest_error = 256 * 1024;
constexpr std::size_t stream_buffer = 4096;  // a thousand streams hold one each
constexpr auto drain_time = 1s;

ApiError broken_off() {
  return ApiError::unavailable("engine_unavailable", "The upstream of this model broke off its answer.");
}

ApiError too_late() {
  return ApiError::timeout("The upstream of this model did not answer in time.");
}

void note_ignored(CallContext& call, std::string_view name) {
  call.ignore(std::string(name));
}

// Nothing here is sold in tiers; `default` is what there is.
void note_tier(const json::object& request, CallContext& call) {
  const auto tier = json::find_string(request, field::service_tier);
  if (tier && tier != "auto" && tier != "default") note_ignored(call, field::service_tier);
}

// What an attempt on one replica came to when it did not succeed.
struct Refused {
  ApiError error;
  bool try_elsewhere;
};

// Shared by the backend and its streams, which may outlive it.
struct Upstream {
  Upstream(const UpstreamSpec& given, std::string model, CircuitPolicy circuit)
      : spec(given), model_there(std::move(model)), policy(circuit), replicas(given, circuit) {}
  const UpstreamSpec spec;
  const std::string model_there;
  const CircuitPolicy policy;
  ReplicaSet replicas;
  std::atomic<bool> warned_of_usage{false};

  net::ClientRequest request(const Turn& turn, std::string_view path, const CallContext& call) const {
    net::ClientRequest request;
    request.target = turn.replica().base_path;
    request.target += path;
    request.headers.add("content-type", "application/json");
    request.headers.add("x-request-id", call.request_id());
    if (!spec.api_key.empty()) request.headers.add("authorization", "Bearer " + spec.api_key);
    return request;
  }

  void warn_of_usage() {
    if (!warned_of_usage.exchange(true)) log::warn("upstream reports no usage", {{"model", model_there}});
  }

  // Any answer below 500 shows that it lives.
  Task<bool> answers_probe(const Turn& turn, const CallContext& call) {
    auto question = request(turn, "/models", call);
    question.method = "GET";
    try {
      const auto reply =
          co_await async::with_deadline(policy.probe_time, turn.replica().client.send(std::move(question)));
      co_return reply->head().status < 500;
    } catch (const net::ClientError&) {
    } catch (const async::DeadlineExceeded&) {
    }
    co_return false;
  }

  // What the reply's status means; reads the body of an error.
  Task<std::optional<Refused>> refusal(net::ClientResponse& reply, Turn& turn) {
    const int status = reply.head().status;
    if (status == 200) co_return std::nullopt;
    std::string body;
    try {
      body = co_await reply.read_all(longest_error);
    } catch (const net::ClientError&) {
      // The status alone has to do.
    }
    const bool refused_request = status == 400 || status == 413 || status == 422;
    const bool busy = status == 429;
    if (refused_request || busy) {
      turn.succeeded();
    } else {
      turn.failed("status " + std::to_string(status));
    }
    co_return Refused{upstream::read_error(status, reply.head().headers, body, spec.api_key),
                      busy || status >= 500};
  }
};

// Ends when the replica seems to hang and another one could take over; see CircuitPolicy::patience.
Task<void> until_hanging(Upstream& upstream, const Turn& turn, std::uint64_t tried,
                         std::chrono::steady_clock::duration patience, const CallContext& call) {
  for (;;) {
    if (upstream.replicas.has_other(tried)) {
      bool alive = co_await upstream.answers_probe(turn, call);
      if (!alive) alive = co_await upstream.answers_probe(turn, call);
      if (!alive) co_return;
    }
    co_await async::sleep_for(patience);
  }
}

template <class Result>
using Attempted = std::expected<Result, Refused>;

template <class Result>
Task<Attempted<Result>> run_watched(Upstream& upstream, Turn& turn, std::uint64_t tried,
                                    std::chrono::steady_clock::duration left, const CallContext& call,
                                    Task<Attempted<Result>> attempt) {
  if (!upstream.replicas.has_other(tried)) co_return co_await std::move(attempt);
  const auto patience = std::min<std::chrono::steady_clock::duration>(upstream.policy.patience, left / 3);
  auto result = co_await async::run_unless(std::move(attempt),
                                           until_hanging(upstream, turn, tried, patience, call), patience);
  if (result) co_return std::move(*result);
  turn.failed("it hangs");
  co_return std::unexpected(Refused{broken_off().with_retry_after(1s), true});
}

// Runs `attempt(turn)` on one replica after the other until one succeeds. An attempt returns its result, or
// the reason against it; ClientError and ApiError 503 say that the replica failed; anything else that it
// throws ends the call.
template <class Result, class Attempt>
Task<Result> try_replicas(std::shared_ptr<Upstream> upstream, const CallContext& call, Attempt attempt) {
  const SteadyTime limit =
      std::min(call.deadline(), std::chrono::steady_clock::now() + upstream->spec.timeout);
  std::optional<ApiError> last;
  std::uint64_t tried = 0;
  for (;;) {
    const SteadyTime now = std::chrono::steady_clock::now();
    auto turn = upstream->replicas.pick(tried, now);
    if (!turn) {
      if (last) throw *last;
      throw ApiError::unavailable("engine_unavailable", "The upstream of this model is down.")
          .with_retry_after(upstream->replicas.until_retry(now));
    }
    tried |= std::uint64_t{1} << turn->index();
    if (turn->must_probe()) {
      const bool alive = co_await upstream->answers_probe(*turn, call);
      if (!alive) {
        turn->failed("no answer to the probe");
        continue;
      }
      turn->recovered();
    }
    if (now >= limit) throw too_late();
    std::optional<Attempted<Result>> outcome;
    try {
      outcome.emplace(co_await async::with_deadline(
          limit - now, run_watched<Result>(*upstream, *turn, tried, limit - now, call, attempt(*turn))));
    } catch (const async::DeadlineExceeded&) {
      turn->failed("no answer in time");
      throw too_late();
    } catch (const net::ClientError& error) {
      turn->failed(error.what());
      outcome.emplace(std::unexpected(Refused{broken_off().with_retry_after(1s), true}));
    } catch (const ApiError& error) {
      if (error.status() != 503) throw;
      turn->failed("an answer that cannot be used");
      outcome.emplace(std::unexpected(Refused{error, true}));
    }
    if (outcome->has_value()) co_return std::move(**outcome);
    last = outcome->error().error;
    if (!outcome->error().try_elsewhere) throw *last;
  }
}

constexpr std::size_t most_ahead = 256;  // deltas that are read before the stream is handed out

class UpstreamStream final : public DeltaStream {
 public:
  UpstreamStream(std::shared_ptr<Upstream> upstream, Turn turn, std::unique_ptr<net::ClientResponse> reply,
                 ChunkReader chunks, const CallContext& call)
      : upstream_(std::move(upstream)),
        turn_(std::move(turn)),
        reply_(std::move(reply)),
        chunks_(std::move(chunks)),
        request_id_(call.request_id()),
        deadline_(call.deadline()) {}

  // Fetches the first deltas ahead, so that a replica which dies before them can be replaced. Throws
  // ClientError and ApiError.
  Task<void> begin() { co_await advance(); }

  // Reads ahead until a delta shows whether the upstream gives log probabilities. Throws as begin() does.
  Task<upstream::LogprobsGiven> judge_logprobs() {
    for (;;) {
      for (Delta& delta : std::exchange(current_, {})) {
        ahead_.push_back(std::move(delta));
        const auto judged = upstream::judge_logprobs(ahead_.back());
        if (judged != upstream::LogprobsGiven::undecided) judged_ = judged;
      }
      if (judged_ != upstream::LogprobsGiven::undecided || ended_ || ahead_.size() >= most_ahead)
        co_return judged_;
      co_await advance();
    }
  }

  Task<const Delta*> next() override {
    if (!ahead_.empty()) {
      held_ = std::move(ahead_.front());
      ahead_.pop_front();
      co_return &held_;
    }
    if (current_.empty() && !ended_) co_await advance_or_fail();
    if (current_.empty()) {
      co_await drain();
      co_return nullptr;
    }
    const Delta& delta = current_.front();
    current_ = current_.subspan(1);
    co_return &delta;
  }

  const TokenUsage& usage() const override { return chunks_.usage(); }
  std::string_view fingerprint() const override { return chunks_.fingerprint(); }

 private:
  Task<void> advance_or_fail() {
    try {
      co_await advance();
      co_return;
    } catch (const net::ClientError& error) {
      turn_.failed(error.what());
      log::warn("upstream stream failed", {{"request_id", request_id_}, {"cause", error.what()}});
    } catch (const ApiError& error) {
      if (error.status() == 503) turn_.failed("a stream that cannot be used");
      throw;
    }
    throw broken_off();
  }

  // Until there are deltas, or the end.
  Task<void> advance() {
    for (;;) {
      while (auto event = events_.next()) {
        if (event->data == "[DONE]") {
          finish();
          co_return;
        }
        if (event->data.empty()) continue;
        current_ = chunks_.read(event->data);
        if (!current_.empty()) co_return;
      }
      if (events_.failed()) throw upstream::unusable_answer();
      const std::size_t n = co_await read();
      if (n == 0) {
        finish();
        co_return;
      }
      events_.feed({buffer_.data(), n});
    }
  }

  // The upstream says that this was all: believed only when every choice has ended.
  void finish() {
    if (!chunks_.complete())
      throw net::ClientError(net::FailedAt::reading_body, "the stream ended too early");
    if (chunks_.counted()) upstream_->warn_of_usage();
    ended_ = true;
  }

  Task<std::size_t> read() {
    const auto left = deadline_ - std::chrono::steady_clock::now();
    if (left <= 0s) throw too_late();
    // A timer per read is only worth its cost when the connection's own limit would come too late.
    if (left > upstream_->spec.timeout || left > 120s) co_return co_await reply_->read_some(buffer_);
    try {
      co_return co_await async::with_deadline(left, reply_->read_some(buffer_));
    } catch (const async::DeadlineExceeded&) {
    }
    throw too_late();
  }

  // Reads the end of the body, so that the connection can be used again.
  Task<void> drain() {
    if (!reply_) co_return;
    turn_.succeeded();
    try {
      const std::size_t n = co_await async::with_deadline(drain_time, reply_->read_some(buffer_));
      if (n > 0) log::debug("upstream sends more after its end", {{"request_id", request_id_}});
    } catch (const net::ClientError&) {
    } catch (const async::DeadlineExceeded&) {
    }
    reply_ = nullptr;
  }

  std::shared_ptr<Upstream> upstream_;  // shared: the model may be redefined while the stream goes on
  Turn turn_;
  std::unique_ptr<net::ClientResponse> reply_;
  net::SseParser events_;
  ChunkReader chunks_;
  std::string request_id_;
  SteadyTime deadline_;
  std::span<Delta> current_;  // of chunks_, not yet handed out
  std::deque<Delta> ahead_;   // read before current_, to judge them
  Delta held_;                // the last one handed out of ahead_
  upstream::LogprobsGiven judged_ = upstream::LogprobsGiven::undecided;
  bool ended_ = false;
  std::vector<char> buffer_ = std::vector<char>(stream_buffer);
};

class UpstreamBackend final : public Backend,
                              public ChatEngine,
                              public CompletionEngine,
                              public EmbeddingEngine {
 public:
  UpstreamBackend(const Model& model, const UpstreamSpec& spec, CircuitPolicy policy)
      : upstream_(std::make_shared<Upstream>(spec, spec.model.empty() ? model.id : spec.model, policy)),
        capabilities_(model.capabilities) {}

  // Nobody here knows what an upstream can do: it answers for itself.
  ChatEngine* chat() override { return this; }
  CompletionEngine* completion() override { return this; }
  EmbeddingEngine* embedding() override { return this; }

  Task<std::unique_ptr<DeltaStream>> chat(const json::object& request, Delivery delivery,
                                          CallContext& call) override {
    note_tier(request, call);
    return generate("/chat/completions", Asked::chat, request, delivery, call);
  }
  Task<std::unique_ptr<DeltaStream>> complete(const json::object& request, Delivery delivery,
                                              CallContext& call) override {
    return generate("/completions", Asked::completion, request, delivery, call);
  }
  Task<json::object> embed(const json::object& request, CallContext& call) override {
    const auto read = [&](json::value answer) {
      return upstream::read_embeddings(std::move(answer), request);
    };
    json::object reply = co_await ask<json::object>("/embeddings", request, call, read);
    if (!upstream::has_usage(reply)) upstream_->warn_of_usage();
    upstream::fit_dimensions(reply, request);
    co_return reply;
  }
  Task<void> probe(CallContext& call) override {
    json::object request;
    if (capabilities_.contains(Capability::embedding)) {
      request.emplace(field::input, "ready?");
      co_await embed(request, call);
      co_return;
    }
    request.emplace(field::max_tokens, 1);
    if (capabilities_.empty() || capabilities_.contains(Capability::chat)) {
      json::object message({{field::role, "user"}, {field::content, "ready?"}});
      request.emplace(field::messages, json::array({std::move(message)}));
      co_await chat(request, Delivery::whole, call);
    } else {
      request.emplace(field::prompt, "ready?");
      co_await complete(request, Delivery::whole, call);
    }
  }

 private:
  // `read` turns the answer into the reply; what it throws says that the answer cannot be used.
  template <class Result, class Read>
  Task<Result> ask(std::string_view path, const json::object& request, const CallContext& call, Read read) {
    const std::string body = upstream::render_request(request, upstream_->model_there, Delivery::whole);
    const auto attempt = [&](Turn& turn) -> Task<Attempted<Result>> {
      auto question = upstream_->request(turn, path, call);
      question.body = body;
      const auto reply = co_await turn.replica().client.send(std::move(question));
      if (auto refused = co_await upstream_->refusal(*reply, turn))
        co_return std::unexpected(std::move(*refused));
      const std::string text = co_await reply->read_all(longest_reply);
      Result answer = read(upstream::parse_answer(text));
      turn.succeeded();
      co_return answer;
    };
    co_return co_await try_replicas<Result>(upstream_, call, attempt);
  }

  Task<std::unique_ptr<DeltaStream>> generate(std::string_view path, Asked asked, const json::object& request,
                                              Delivery delivery, CallContext& call) {
    if (delivery == Delivery::streamed) return stream(path, asked, request, call);
    return answer(path, asked, request, call);
  }

  Task<std::unique_ptr<DeltaStream>> answer(std::string_view path, Asked asked, const json::object& request,
                                            CallContext& call) {
    const std::size_t choices = count_choices(request, asked);
    const auto read = [&](json::value answer) {
      return upstream::read_reply(std::move(answer), asked, choices);
    };
    upstream::WholeReply reply = co_await ask<upstream::WholeReply>(path, request, call, read);
    if (reply.usage.prompt + reply.usage.completion == 0) upstream_->warn_of_usage();
    if (upstream::wants_logprobs(request, asked)) {
      const auto decided = std::ranges::find_if(reply.deltas, [](const Delta& delta) {
        return upstream::judge_logprobs(delta) != upstream::LogprobsGiven::undecided;
      });
      if (decided != reply.deltas.end() && upstream::judge_logprobs(*decided) == upstream::LogprobsGiven::no)
        note_ignored(call, field::logprobs);
    }
    co_return std::make_unique<ReadyDeltas>(std::move(reply.deltas), reply.usage,
                                            std::move(reply.fingerprint));
  }

  Task<std::unique_ptr<DeltaStream>> stream(std::string_view path, Asked asked, const json::object& request,
                                            CallContext& call) {
    const std::string body = upstream::render_request(request, upstream_->model_there, Delivery::streamed);
    const bool judges = upstream::wants_logprobs(request, asked);
    const auto attempt = [&](Turn& turn) -> Task<Attempted<std::unique_ptr<DeltaStream>>> {
      auto question = upstream_->request(turn, path, call);
      question.body = body;
      auto reply = co_await turn.replica().client.send(std::move(question));
      if (auto refused = co_await upstream_->refusal(*reply, turn))
        co_return std::unexpected(std::move(*refused));
      auto stream = std::make_unique<UpstreamStream>(upstream_, turn.share(), std::move(reply),
                                                     ChunkReader(asked, count_choices(request, asked)), call);
      co_await stream->begin();
      if (judges && co_await stream->judge_logprobs() == upstream::LogprobsGiven::no)
        note_ignored(call, field::logprobs);
      co_return std::move(stream);
    };
    co_return co_await try_replicas<std::unique_ptr<DeltaStream>>(upstream_, call, attempt);
  }

  std::shared_ptr<Upstream> upstream_;  // shared with the streams
  const std::set<Capability> capabilities_;
};

}  // namespace

std::unique_ptr<Backend> make_upstream_backend(const Model& model, const UpstreamSpec& spec,
                                               CircuitPolicy policy) {
  return std::make_unique<UpstreamBackend>(model, spec, policy);
}

}  // namespace hearth::engine
