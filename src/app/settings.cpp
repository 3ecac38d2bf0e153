#include "app/settings.hpp"

#include <algorithm>
#include <array>

namespace hearth::app {
namespace {

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 2> format_names{"console", "json"};

constexpr std::array<std::string_view, 3> ledger_failure_names{"allow", "refuse", "local"};

constexpr std::uint64_t kib = 1ULL << 10;
constexpr std::uint64_t mib = 1ULL << 20;
constexpr std::uint64_t gib = 1ULL << 30;
constexpr std::uint64_t day = 86'400'000;

constexpr Bounds thread_count{0, 1024};
constexpr Bounds waiting_time{1, 7 * day};  // a limit that must exist
constexpr Bounds money_range{0, 1'000'000'000};
constexpr Bounds optional_time{0, 365 * day};
constexpr Bounds limit_value{0, 1'000'000'000'000'000};

// clang-format off
#define AT(member) [](auto& owner) -> Slot { return &owner.member; }

constexpr SettingOf<Config> server_settings[] = {
    {{"data", Form::path, "Directory of all lasting data: database, files, pulled models, sockets. Relative to the working directory."}, AT(data)},
    {{"bootstrap", Form::path, "File that the first start of a data directory writes its base URL, keys and default model to, as JSON with mode 0600. Empty: none."}, AT(bootstrap)},
    {{"default_model", Form::text, "Model or alias that must be ready before the server is, and that examples name. Empty: the first of the catalogue."}, AT(default_model)},

    {{"server.listen", Form::list, "Addresses to serve on: \"127.0.0.1:8080\", \"[::1]:8080\", \"unix:/run/hearth.sock\". Port 0 takes a free one."}, AT(server.listen)},
    {{"server.tls_certificate", Form::path, "PEM file with the certificate chain; with it every TCP address speaks TLS."}, AT(server.tls.certificate_file)},
    {{"server.tls_key", Form::path, "PEM file with the certificate's private key."}, AT(server.tls.key_file)},
    {{"server.io_threads", Form::integer, "Threads that serve connections; 0 takes one for each core.", thread_count}, AT(server.io_threads)},
    {{"server.cors_origins", Form::list, "Origins whose pages may call the API, or \"*\". Empty: no CORS headers."}, AT(server.cors_origins)},
    {{"server.public_url", Form::text, "URL under which people reach this server, without /v1; links that they receive begin with it. Empty: the first address."}, AT(server.public_url)},
    {{"server.max_connections", Form::integer, "Open connections; further ones are refused.", {1, 1'000'000}}, AT(server.limits.connections)},
    {{"server.max_header", Form::size, "Bytes of a request's line and headers; a larger one is answered with 431.", {kib, mib}}, AT(server.limits.header_bytes)},
    {{"server.body_memory", Form::size, "Memory for the bodies of all requests together; a request that does not fit waits before its body is read.", {mib, 1024 * gib}}, AT(server.body_memory)},
    {{"server.request_timeout", Form::duration, "Longest time from the end of a request's header to the end of its reply.", waiting_time}, AT(server.request_timeout)},
    {{"server.header_time", Form::duration, "Longest time from a request's first byte to the end of its header.", waiting_time}, AT(server.limits.header_time)},
    {{"server.idle_time", Form::duration, "Longest time between requests on a kept connection, and before the first one.", waiting_time}, AT(server.limits.idle_time)},
    {{"server.body_time", Form::duration, "Longest time without a single byte of an announced body.", waiting_time}, AT(server.limits.body_time)},
    {{"server.body_pace", Form::size, "Bytes a second: a sender that is slower on average is cut off after body_time. 0: never.", {0, gib}}, AT(server.limits.body_bytes_per_second)},
    {{"server.write_time", Form::duration, "A client that takes nothing of its reply for this time is cut off.", waiting_time}, AT(server.limits.write_time)},
    {{"server.socket_time", Form::duration, "Longest life of a WebSocket.", waiting_time}, AT(server.socket_time)},
    {{"server.socket_ping_interval", Form::duration, "A WebSocket's client that is silent for this time is pinged. 0: never.", {0, day}}, AT(server.limits.socket_ping_interval)},
    {{"server.socket_pong_time", Form::duration, "A pinged client that stays silent for this time is cut off.", waiting_time}, AT(server.limits.socket_pong_time)},
    {{"server.drain_deadline", Form::duration, "Time for running requests to finish after SIGTERM or SIGINT.", {0, day}}, AT(server.drain_deadline)},

    {{"database.url", Form::secret, "postgresql://USER:PASSWORD@HOST:PORT/DATABASE: keep everything in PostgreSQL, which several servers may share. Empty: the SQLite file."}, AT(database.url)},
    {{"database.path", Form::path, "The SQLite file.", {}, {}, "DATA/hearth.db"}, AT(database.path)},
    {{"blobs.path", Form::path, "Directory of the bytes of files. Several servers on one database need one that all of them see.", {}, {}, "DATA/blobs"}, AT(blobs.path)},

    {{"auth.enabled", Form::boolean, "Ask every request for a key. Without it all callers share the default project."}, AT(auth.enabled)},

    {{"login.session_lifetime", Form::duration, "Time from a login in the browser to the end of its session.", {60'000, 365 * day}}, AT(login.session_lifetime)},

    {{"invites.lifetime", Form::duration, "Time from an invite to the end of its link.", {60'000, 365 * day}}, AT(invites.lifetime)},
    {{"limits.enabled", Form::boolean, "Enforce the limits of projects. Without it the limits below and those set by the API are stored but have no effect."}, AT(limits.enabled)},
    {{"limits.requests_per_minute", Form::integer, "Requests of a project to one model, if the project has no limit of its own. 0: no limit; the same holds for the limits below.", limit_value}, AT(limits.requests_per_minute)},
    {{"limits.tokens_per_minute", Form::integer, "Tokens of a project's requests to one model, in and out.", limit_value}, AT(limits.tokens_per_minute)},
    {{"limits.images_per_minute", Form::integer, "Images that a project makes with one model.", limit_value}, AT(limits.images_per_minute)},
    {{"limits.audio_megabytes_per_minute", Form::integer, "Sound that a project sends to one model, in millions of bytes.", {0, 1'000'000'000}}, AT(limits.audio_megabytes_per_minute)},
    {{"limits.requests_per_day", Form::integer, "Requests of a project to one model in 24 hours.", limit_value}, AT(limits.requests_per_day)},
    {{"limits.batch_input_tokens_per_day", Form::integer, "Input tokens of a project's batches to one model in 24 hours; shown by the API.", limit_value}, AT(limits.batch_input_tokens_per_day)},
    {{"limits.reservation_time", Form::duration, "A request that has not ended after this time counts with the tokens that were estimated for it.", {1000, day}}, AT(limits.reservation_time)},
    {{"limits.redis_url", Form::secret, "Redis server that counts for several processes: redis://[USER:PASSWORD@]HOST[:PORT][/DB] or redis+unix:///PATH. Empty: each process counts by itself."}, AT(limits.redis_url)},
    {{"limits.redis_failure", Form::choice, "While Redis does not answer: let all requests through, refuse them (503), or count in each process.", {}, ledger_failure_names}, AT(limits.redis_failure)},

    {{"usage.enabled", Form::boolean, "Count what requests use. Without it usage and costs stay as they are, and budgets are not enforced."}, AT(usage.enabled)},
    {{"jobs.places", Form::integer, "Background jobs that this process runs at a time; 0: none of the queue's.", thread_count}, AT(jobs.places)},
    {{"jobs.lease_time", Form::duration, "A process that holds jobs and gives no sign for that long is taken for dead, and others go on with its jobs.", {1000, day}}, AT(jobs.lease_time)},
    {{"jobs.heartbeat", Form::duration, "Between the signs of a process that holds jobs; a third of the lease at the most.", {100, day}}, AT(jobs.heartbeat)},
    {{"jobs.kept", Form::duration, "How long jobs that have ended stay in the list.", optional_time}, AT(jobs.kept)},
    {{"jobs.sweep_interval", Form::duration, "Between two sweeps of what has expired: sessions, links, invites, ended jobs, bytes that belong to nothing.", {1000, 365 * day}}, AT(jobs.sweep_interval)},

    {{"smtp.url", Form::text, "Mail server for sending invitations: \"smtp://host:587\" or \"smtps://host:465\". Empty: none; hearth admin invite-link prints the links."}, AT(smtp.url)},
    {{"smtp.user", Form::text, "Name for logging in at the mail server, which must then use TLS. Empty: no login."}, AT(smtp.user)},
    {{"smtp.password", Form::secret, "Password for the mail server."}, AT(smtp.password)},
    {{"smtp.from", Form::text, "Sender of the mails: \"hearth@example.org\" or \"Hearth <hearth@example.org>\"."}, AT(smtp.from)},

    {{"log.level", Form::choice, "The lowest level of lines that are written.", {}, level_names}, AT(log.level)},
    {{"log.format", Form::choice, "Format of the lines: for people or for machines.", {}, format_names}, AT(log.format)},

    {{"engines.llama_server", Form::path, "The llama-server program of llama.cpp, which runs local models.", {}, {}, "beside the program, else on PATH"}, AT(engines.llama_server)},
    {{"engines.memory_budget", Form::size, "Memory for all local engines together; the least recently used one is unloaded to make room. 0: half of the machine's memory."}, AT(engines.memory_budget)},
    {{"engines.idle_unload", Form::duration, "An engine without requests for this time is unloaded. 0: never.", optional_time}, AT(engines.idle_unload)},
    {{"engines.load_timeout", Form::duration, "Longest time from the start of an engine to its first token.", waiting_time}, AT(engines.load_timeout)},
    {{"engines.stop_grace", Form::duration, "Time between asking an engine to stop and killing it.", {0, day}}, AT(engines.stop_grace)},
    {{"engines.slots", Form::integer, "Generations that one local model runs at a time, if the model has no setting of its own.", {1, 256}}, AT(engines.slots)},
    {{"engines.threads", Form::integer, "Threads of one local engine, if the model has no setting of its own; never more than the cores. 0: all cores; a model under 64 MiB then generates with one thread, because several would wait for each other longer than they work.", thread_count}, AT(engines.threads)},

    {{"costs.currency", Form::text, "ISO 4217 code, in lower case, of the currency of all prices and budgets."}, AT(costs.currency)},
    {{"costs.batch_discount", Form::decimal, "The part of the price that batches save: with 0.5 they cost half.", {0, 1}}, AT(costs.batch_discount)},

    {{"limits.monthly_budget", Form::decimal, "What each project may spend in a calendar month (UTC), if it has no budget of its own. 0: no limit.", money_range}, AT(limits.monthly_budget)},

    {{"pull.endpoint", Form::text, "Base URL from which hf:ORG/REPO/FILE is fetched."}, AT(pull.endpoint)},
    {{"pull.token", Form::secret, "Token for the endpoint, for models that are not public."}, AT(pull.token)},
    {{"pull.cache", Form::path, "Directory of pulled model files.", {}, {}, "DATA/models"}, AT(pull.cache)},
};

constexpr SettingOf<ModelConfig> model_rows[] = {
    {{"file", Form::path, "A GGUF file: the model runs in a llama-server on this machine."}, AT(file)},
    {{"projector", Form::path, "GGUF file of the multimodal projector, for models that take images."}, AT(projector)},
    {{"context", Form::integer, "Tokens of context for each slot. 0: the length that the model was trained with.", {0, 16'777'216}}, AT(context)},
    {{"slots", Form::integer, "Generations that run at a time. 0: engines.slots.", {0, 256}}, AT(slots)},
    {{"threads", Form::integer, "Threads of the model's engine. 0: engines.threads.", thread_count}, AT(threads)},
    {{"chat_template", Form::text, "Jinja template of the chat format. Empty: the file's own."}, AT(chat_template)},
    {{"chat_template_file", Form::path, "The same, read from a file."}, AT(chat_template_file)},
    {{"arguments", Form::list, "Further arguments for llama-server, passed on unchanged."}, AT(arguments)},
    {{"memory", Form::size, "The part of engines.memory_budget that the loaded engine takes. 0: estimated from the file."}, AT(memory)},
    {{"base_urls", Form::list, "Replicas of an upstream that speaks the OpenAI API, each with its /v1."}, AT(base_urls)},
    {{"api_key", Form::secret, "Key for the upstream."}, AT(api_key)},
    {{"api_key_env", Form::text, "Environment variable that holds the key for the upstream."}, AT(api_key_env)},
    {{"model", Form::text, "The model's name at the upstream. Empty: the same as here."}, AT(model)},
    {{"timeout", Form::duration, "Longest time of one call to the upstream.", waiting_time}, AT(timeout)},
    {{"capabilities", Form::list, "What the model can do.", {}, engine::served_capability_names, "a file: what it says; an upstream: all but infill"}, AT(capabilities)},
    {{"owned_by", Form::text, "The owner shown in the list of models."}, AT(owned_by)},
    {{"aliases", Form::list, "Further names of the model."}, AT(aliases)},
    {{"price_input", Form::decimal, "Price of a million tokens read, in costs.currency.", money_range, {}, "none"}, AT(prices.input)},
    {{"price_cached_input", Form::decimal, "Price of a million tokens read from the cache.", money_range, {}, "as price_input"}, AT(prices.cached_input)},
    {{"price_output", Form::decimal, "Price of a million tokens generated.", money_range, {}, "none"}, AT(prices.output)},
    {{"price_audio_input", Form::decimal, "Price of a million tokens read that stand for audio.", money_range, {}, "as price_input"}, AT(prices.audio_input)},
    {{"price_audio_output", Form::decimal, "Price of a million tokens generated that stand for audio.", money_range, {}, "as price_output"}, AT(prices.audio_output)},
    {{"price_image", Form::decimal, "Price of one image.", money_range, {}, "none"}, AT(prices.image)},
    {{"price_characters", Form::decimal, "Price of a million characters spoken.", money_range, {}, "none"}, AT(prices.characters)},
    {{"price_minute", Form::decimal, "Price of a minute of audio transcribed, counted by the second.", money_range, {}, "none"}, AT(prices.minute)},
};

#undef AT
// clang-format on

template <class Owner>
const SettingOf<Owner>* find_in(std::span<const SettingOf<Owner>> rows, std::string_view name) {
  const auto found = std::ranges::find(rows, name, &Setting::name);
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace

std::span<const SettingOf<Config>> settings() {
  return server_settings;
}

std::span<const SettingOf<ModelConfig>> model_settings() {
  return model_rows;
}

const SettingOf<Config>* find_setting(std::string_view name) {
  return find_in(settings(), name);
}

const SettingOf<ModelConfig>* find_model_setting(std::string_view name) {
  return find_in(model_settings(), name);
}

std::string environment_name(std::string_view setting) {
  std::string name = "HEARTH_";
  for (char c : setting)
    name.push_back(c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return name;
}

}  // namespace hearth::app
