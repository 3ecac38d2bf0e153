#include "app/config_load.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "app/config_check.hpp"
#include "app/config_print.hpp"
#include "app/settings.hpp"

namespace hearth::app {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A working directory of its own for each test.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string name = (std::filesystem::temp_directory_path() / "hearth-config-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    sources_.working_directory = directory_;
  }
  ~ConfigTest() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, std::string_view text) {
    const std::filesystem::path path = std::filesystem::path(directory_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  void use_file(std::string_view text) { sources_.file = write("hearth.toml", text); }
  void set(std::string name, std::string value) {
    sources_.flags.push_back({"--set", std::move(name), std::move(value)});
  }
  LoadedConfig load() const { return load_config(sources_); }
  Config config() const { return load().config; }

  // The message, with this test's directory as "DIR".
  std::string failure() const {
    try {
      load();
    } catch (const ConfigError& error) {
      std::string text = error.what();
      if (const auto at = text.find(directory_); at != std::string::npos) {
        text.replace(at, directory_.size(), "DIR");
      }
      return text;
    }
    return "no error";
  }
  std::string file_failure(std::string_view text) {
    use_file(text);
    return failure();
  }

  std::string directory_;
  ConfigSources sources_;
};

TEST_F(ConfigTest, DefaultsWithoutAnySource) {
  const LoadedConfig loaded = load();
  EXPECT_TRUE(loaded.origins.empty());
  EXPECT_EQ(loaded.file, "");
  const Config& config = loaded.config;
  EXPECT_EQ(config.data, directory_ + "/hearth-data");
  EXPECT_EQ(config.database.path, directory_ + "/hearth-data/hearth.db");
  EXPECT_EQ(config.blobs.path, directory_ + "/hearth-data/blobs");
  EXPECT_EQ(config.pull.cache, directory_ + "/hearth-data/models");
  EXPECT_THAT(config.server.listen, ElementsAre("127.0.0.1:8080"));
  EXPECT_TRUE(config.auth.enabled);
  EXPECT_EQ(config.bootstrap, "");
}

TEST_F(ConfigTest, EveryFormFromAFile) {
  use_file(R"(
data = "state"
default_model = "tiny"
[server]
listen = ["[::1]:0", "unix:/run/h.sock"]
max_connections = 12
max_header = "64KiB"
body_pace = 2048
idle_time = "90s"
drain_deadline = "0s"
[auth]
enabled = false
[log]
level = "debug"
format = "json"
[engines]
llama_server = "bin/llama-server"
[limits]
monthly_budget = 25
[costs]
batch_discount = 0.25
[models.m]
base_urls = ["http://h/v1"]
price_input = 0.15
price_cached_input = 0
)");
  const Config config = this->config();
  EXPECT_EQ(config.data, directory_ + "/state");
  EXPECT_EQ(config.default_model, "tiny");
  EXPECT_THAT(config.server.listen, ElementsAre("[::1]:0", "unix:/run/h.sock"));
  EXPECT_EQ(config.server.limits.connections, 12u);
  EXPECT_EQ(config.server.limits.header_bytes, 64u << 10);
  EXPECT_EQ(config.server.limits.body_bytes_per_second, 2048u);
  EXPECT_EQ(config.server.limits.idle_time, 90s);
  EXPECT_EQ(config.server.drain_deadline, 0s);
  EXPECT_FALSE(config.auth.enabled);
  EXPECT_EQ(config.log.level, log::Level::debug);
  EXPECT_EQ(config.log.format, log::Format::json);
  EXPECT_EQ(config.engines.llama_server, directory_ + "/bin/llama-server");
  EXPECT_EQ(config.limits.monthly_budget, 25);
  EXPECT_EQ(config.costs.batch_discount, 0.25);
  EXPECT_EQ(config.models.at("m").prices, (contract::Prices{.input = 0.15, .cached_input = 0}));
}

TEST_F(ConfigTest, EveryFormFromTheEnvironment) {
  sources_.environment = {
      {"HEARTH_DATA", "/var/lib/h"},           {"HEARTH_SERVER_LISTEN", "0.0.0.0:80, [::]:80"},
      {"HEARTH_SERVER_MAX_CONNECTIONS", "5"},  {"HEARTH_SERVER_BODY_MEMORY", "1GiB"},
      {"HEARTH_SERVER_REQUEST_TIMEOUT", "2m"}, {"HEARTH_AUTH_ENABLED", "0"},
      {"HEARTH_LOG_FORMAT", "json"},           {"HEARTH_CACHE_OF_SOMEONE_ELSE", "x"}};
  const Config config = this->config();
  EXPECT_EQ(config.data, "/var/lib/h");
  EXPECT_THAT(config.server.listen, ElementsAre("0.0.0.0:80", "[::]:80"));
  EXPECT_EQ(config.server.limits.connections, 5u);
  EXPECT_EQ(config.server.body_memory, 1ULL << 30);
  EXPECT_EQ(config.server.request_timeout, 2min);
  EXPECT_FALSE(config.auth.enabled);
  EXPECT_EQ(config.log.format, log::Format::json);
}

TEST_F(ConfigTest, NumbersWithAPoint) {
  sources_.environment = {{"HEARTH_LIMITS_MONTHLY_BUDGET", "12.5"}};
  EXPECT_EQ(config().limits.monthly_budget, 12.5);
  for (const char* wrong : {"-1", "1e3", "inf", "nan", "", "2000000000", "1,5", "0x1p3", "1 "}) {
    sources_.environment["HEARTH_LIMITS_MONTHLY_BUDGET"] = wrong;
    EXPECT_THAT(failure(), HasSubstr("expected a number such as 0.15 from 0 to 1000000000")) << wrong;
  }
}

TEST_F(ConfigTest, FlagsBeatTheEnvironmentWhichBeatsTheFile) {
  use_file("[server]\nidle_time = \"1s\"\nheader_time = \"1s\"\nbody_time = \"1s\"\n");
  sources_.environment = {{"HEARTH_SERVER_IDLE_TIME", "2s"}, {"HEARTH_SERVER_HEADER_TIME", "2s"}};
  set("server.idle_time", "3s");
  const LoadedConfig loaded = load();
  EXPECT_EQ(loaded.config.server.limits.idle_time, 3s);
  EXPECT_EQ(loaded.config.server.limits.header_time, 2s);
  EXPECT_EQ(loaded.config.server.limits.body_time, 1s);
  EXPECT_EQ(loaded.origins.at("server.idle_time"), "flag --set");
  EXPECT_EQ(loaded.origins.at("server.header_time"), "environment HEARTH_SERVER_HEADER_TIME");
  EXPECT_EQ(loaded.origins.at("server.body_time"), "file " + directory_ + "/hearth.toml:4");
}

TEST_F(ConfigTest, WhichFileIsRead) {
  write("hearth-data/hearth.toml", "default_model = \"in data\"\n");
  EXPECT_EQ(config().default_model, "in data");
  sources_.environment["HEARTH_CONFIG"] = write("env.toml", "default_model = \"by environment\"\n");
  EXPECT_EQ(config().default_model, "by environment");
  sources_.file = write("flag.toml", "default_model = \"by flag\"\n");
  EXPECT_EQ(config().default_model, "by flag");
  sources_.file = "missing.toml";
  EXPECT_EQ(failure(), "DIR/missing.toml: cannot be read");
}

TEST_F(ConfigTest, TheDataDirectoryOfAFlagIsSearched) {
  write("elsewhere/hearth.toml", "default_model = \"there\"\n");
  sources_.flags.push_back({"--data", "data", "elsewhere"});
  EXPECT_EQ(config().default_model, "there");
}

TEST_F(ConfigTest, AnEmptyFileAndEmptyTablesAreFine) {
  use_file("");
  EXPECT_EQ(config().data, directory_ + "/hearth-data");
  use_file("[server]\n[models]\n[aliases]\n");
  EXPECT_EQ(config().data, directory_ + "/hearth-data");
}

TEST_F(ConfigTest, LocalModels) {
  write("chat.jinja", "{{ messages }}");
  use_file(R"(
[models."llama-3.1"]
file = "llama.gguf"
context = 8192
memory = "6GiB"
chat_template_file = "chat.jinja"
capabilities = ["chat", "tools"]
aliases = ["gpt-4o", "gpt-4.1"]
arguments = ["--flash-attn", "a,b"]
[models.plain]
file = "/m/plain.gguf"
slots = 2
threads = 3
[engines]
slots = 6
[aliases]
"gpt-4o-mini" = "gpt-4o"
)");
  const Config config = this->config();
  const auto models = configured_models(config);
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].id, "llama-3.1");
  EXPECT_EQ(models[0].memory_bytes, 6ULL << 30);
  EXPECT_EQ(models[0].capabilities,
            (std::set<engine::Capability>{engine::Capability::chat, engine::Capability::tools}));
  EXPECT_EQ(models[0].engine->kind(), "llama");
  const json::object llama = models[0].engine->render();
  EXPECT_EQ(llama.at("file").as_string(), directory_ + "/llama.gguf");
  EXPECT_EQ(llama.at("context"), 8192);
  EXPECT_EQ(llama.at("slots"), 6);
  EXPECT_EQ(llama.at("threads"), 0);
  EXPECT_EQ(llama.at("chat_template"), "{{ messages }}");
  EXPECT_EQ(llama.at("arguments"), json::value(json::array{"--flash-attn", "a,b"}));
  const json::object plain = models[1].engine->render();
  EXPECT_EQ(plain.at("slots"), 2);
  EXPECT_EQ(plain.at("threads"), 3);
  EXPECT_TRUE(models[1].capabilities.empty());

  const auto aliases = configured_aliases(config);
  ASSERT_EQ(aliases.size(), 3u);
  EXPECT_EQ(aliases[0].name, "gpt-4o-mini");
  EXPECT_EQ(aliases[0].target, "gpt-4o");
  EXPECT_EQ(aliases[1].name, "gpt-4o");
  EXPECT_EQ(aliases[1].target, "llama-3.1");
}

TEST_F(ConfigTest, ADatabaseOnAServerIsNamedByAUrlThatIsNeverShown) {
  EXPECT_EQ(config().database.url, "");
  sources_.environment["HEARTH_DATABASE_URL"] = "postgresql://hearth:open-sesame@db:5432/hearth";
  EXPECT_EQ(config().database.url, "postgresql://hearth:open-sesame@db:5432/hearth");
  EXPECT_EQ(render_config(load()).find("open-sesame"), std::string::npos);
  EXPECT_NE(render_config(load()).find("database.url = \"***\""), std::string::npos);
  for (const char* url :
       {"mysql://hearth:open-sesame@db/hearth", "postgresql://hearth:open/sesame@db/hearth"}) {
    sources_.environment["HEARTH_DATABASE_URL"] = url;
    const std::string message = failure();
    EXPECT_NE(message.find("HEARTH_DATABASE_URL: database.url: expected postgresql://"), std::string::npos)
        << message;
    EXPECT_EQ(message.find("sesame"), std::string::npos) << message;
  }
}

TEST_F(ConfigTest, UpstreamModels) {
  use_file(R"(
[models.big]
base_urls = ["http://gpu-1:8000/v1", "https://gpu-2/v1"]
api_key_env = "BIG_KEY"
model = "org/big"
timeout = "20s"
owned_by = "org"
)");
  sources_.environment["BIG_KEY"] = "sk-secret";
  const auto models = configured_models(config());
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].owned_by, "org");
  EXPECT_EQ(models[0].capabilities.size(), 5u);
  EXPECT_EQ(models[0].engine->kind(), "upstream");
  const json::object upstream = models[0].engine->render();
  EXPECT_EQ(upstream.at("base_urls"), json::value(json::array{"http://gpu-1:8000/v1", "https://gpu-2/v1"}));
  EXPECT_EQ(upstream.at("api_key"), "sk-secret");
  EXPECT_EQ(upstream.at("model"), "org/big");
  EXPECT_EQ(upstream.at("timeout_ms"), 20'000);
}

TEST_F(ConfigTest, ModelsAndAliasesFromFlags) {
  use_file("[models.\"gpt-4.1\"]\nfile = \"a.gguf\"\n");
  set("models.gpt-4.1.context", "512");
  set("models.other.base_urls", "http://127.0.0.1:1/v1,http://127.0.0.1:2/v1");
  set("aliases.gpt-3.5-turbo", "gpt-4.1");
  const Config config = this->config();
  EXPECT_EQ(config.models.at("gpt-4.1").context, 512u);
  EXPECT_EQ(config.models.at("other").base_urls.size(), 2u);
  EXPECT_EQ(config.aliases.at("gpt-3.5-turbo"), "gpt-4.1");
}

TEST_F(ConfigTest, WrongKeysNameTheNearestRightOne) {
  EXPECT_EQ(file_failure("[server]\nidle_tme = \"1s\"\n"),
            "DIR/hearth.toml:2: unknown setting server.idle_tme; did you mean server.idle_time?");
  EXPECT_EQ(file_failure("\nlisten = [\"x\"]\n"),
            "DIR/hearth.toml:2: unknown setting listen; did you mean server.listen?");
  EXPECT_EQ(file_failure("[sever]\n"), "DIR/hearth.toml:1: unknown setting sever");
  EXPECT_EQ(file_failure("[zzzzzz]\nqqqqqq = 1\n"), "DIR/hearth.toml:2: unknown setting zzzzzz.qqqqqq");
  EXPECT_EQ(file_failure("[models.tiny]\nfil = \"x\"\n"),
            "DIR/hearth.toml:2: unknown setting models.\"tiny\".fil; did you mean file?");
  sources_.file.reset();
  std::filesystem::remove(directory_ + "/hearth.toml");
  set("log.levle", "info");
  EXPECT_EQ(failure(), "--set: unknown setting log.levle; did you mean log.level?");
  sources_.environment["HEARTH_SERVER_LISTN"] = "x";
  EXPECT_EQ(failure(),
            "environment HEARTH_SERVER_LISTN: unknown setting; did you mean HEARTH_SERVER_LISTEN?");
}

TEST_F(ConfigTest, WrongValuesNameTheExpectedForm) {
  EXPECT_EQ(file_failure("[server]\nidle_time = \"soon\"\n"),
            "DIR/hearth.toml:2: server.idle_time: expected a duration such as \"30s\" from 1ms to 7d, not "
            "\"soon\"");
  EXPECT_EQ(
      file_failure("[server]\nidle_time = 30\n"),
      "DIR/hearth.toml:2: server.idle_time: expected a duration such as \"30s\" from 1ms to 7d, not 30");
  EXPECT_EQ(
      file_failure("[server]\nidle_time = \"8d\"\n"),
      "DIR/hearth.toml:2: server.idle_time: expected a duration such as \"30s\" from 1ms to 7d, not \"8d\"");
  EXPECT_EQ(file_failure("[server]\nmax_header = \"32MB\"\n"),
            "DIR/hearth.toml:2: server.max_header: expected a size such as \"32MiB\" from 1KiB to 1MiB, not "
            "\"32MB\"");
  EXPECT_EQ(file_failure("[server]\nmax_connections = -1\n"),
            "DIR/hearth.toml:2: server.max_connections: expected a whole number from 1 to 1000000, not -1");
  EXPECT_EQ(file_failure("[server]\nmax_connections = 1.5\n"),
            "DIR/hearth.toml:2: server.max_connections: expected a whole number from 1 to 1000000, not 1.5");
  EXPECT_EQ(
      file_failure("[server]\nmax_connections = \"5\"\n"),
      "DIR/hearth.toml:2: server.max_connections: expected a whole number from 1 to 1000000, not \"5\"");
  EXPECT_EQ(file_failure("[auth]\nenabled = \"true\"\n"),
            "DIR/hearth.toml:2: auth.enabled: expected true or false, not \"true\"");
  EXPECT_EQ(file_failure("[costs]\nbatch_discount = 1.5\n"),
            "DIR/hearth.toml:2: costs.batch_discount: expected a number such as 0.15 from 0 to 1, not 1.5");
  EXPECT_EQ(file_failure("[costs]\ncurrency = \"dollars\"\n"),
            "DIR/hearth.toml:2: costs.currency: expected a code such as \"usd\", not \"dollars\"");
  EXPECT_EQ(file_failure("[log]\nlevel = \"loud\"\n"),
            "DIR/hearth.toml:2: log.level: expected one of debug, info, warn, error, not \"loud\"");
  EXPECT_EQ(file_failure("data = [\"x\"]\n"), "DIR/hearth.toml:1: data: expected a path, not [\"x\"]");
  EXPECT_EQ(file_failure("data = 1979-05-27\n"),
            "DIR/hearth.toml:1: data: expected a path, not a date or time");
  EXPECT_EQ(file_failure("[server]\nlisten = \"x:1\"\n"),
            "DIR/hearth.toml:2: server.listen: expected a list of texts, not \"x:1\"");
  EXPECT_EQ(file_failure("[server]\nlisten = [1]\n"),
            "DIR/hearth.toml:2: server.listen: expected a list of texts, not a list of other things");
  EXPECT_EQ(file_failure("server = 3\n"), "DIR/hearth.toml:1: server: expected a table of settings");
  EXPECT_EQ(file_failure("[server.listen]\nx = 1\n"),
            "DIR/hearth.toml:2: unknown setting server.listen.x; did you mean server.listen?");
  EXPECT_EQ(
      file_failure("[models.a]\nfile = \"x\"\ncapabilities = [\"sing\"]\n"),
      "DIR/hearth.toml:3: models.\"a\".capabilities: expected a list of chat, completion, embedding, vision, "
      "tools, infill, not [\"sing\"]");
}

TEST_F(ConfigTest, BrokenFiles) {
  EXPECT_THAT(file_failure("[server\nlisten = 1\n"), HasSubstr("DIR/hearth.toml:1: "));
  EXPECT_THAT(file_failure("a = 1\na = 2\n"), HasSubstr("DIR/hearth.toml:2: "));
  sources_.file = directory_;
  EXPECT_THAT(failure(), HasSubstr("cannot be read"));
}

TEST_F(ConfigTest, WrongTablesOfModelsAndAliases) {
  EXPECT_EQ(file_failure("models = 1\n"), "DIR/hearth.toml:1: models: expected a table [models.\"NAME\"]");
  EXPECT_EQ(file_failure("[models]\ntiny = \"x\"\n"),
            "DIR/hearth.toml:2: models.tiny: expected a table [models.\"NAME\"]");
  EXPECT_EQ(file_failure("[models.gpt-4.1]\nfile = \"x\"\n"),
            "DIR/hearth.toml:2: models.gpt-4.1.file: expected [models.\"NAME\"]; a name with dots needs its "
            "quotes");
  EXPECT_EQ(file_failure("[aliases]\ngpt-4.1 = \"x\"\n"),
            "DIR/hearth.toml:2: aliases.gpt-4.1: expected \"NAME\" = \"TARGET\"; a name with dots needs its "
            "quotes");
  EXPECT_EQ(file_failure("[aliases]\na = 1\n"), "DIR/hearth.toml:2: aliases.\"a\": expected a text, not 1");
}

TEST_F(ConfigTest, WhatModelsNeed) {
  EXPECT_EQ(file_failure("[models.a]\n"), "DIR/hearth.toml:1: models.\"a\": set either file or base_urls");
  EXPECT_EQ(file_failure("[models.a]\nfile = \"x\"\nbase_urls = [\"http://h/v1\"]\n"),
            "DIR/hearth.toml:3: models.\"a\": set either file or base_urls");
  EXPECT_EQ(file_failure("[models.a]\nbase_urls = [\"gpu-1:8000\"]\n"),
            "DIR/hearth.toml:2: models.\"a\".base_urls: expected URLs such as \"http://host:8000/v1\", not "
            "\"gpu-1:8000\"");
  EXPECT_EQ(file_failure("[models.a]\nbase_urls = [\"http://user@gpu-1:8000\"]\n"),
            "DIR/hearth.toml:2: models.\"a\".base_urls: expected URLs such as \"http://host:8000/v1\", not "
            "\"http://user@gpu-1:8000\"");
  EXPECT_THAT(file_failure("[models.a]\nbase_urls = [\"http://h/v1\"]\ncontext = 5\n"),
              HasSubstr("are for models with a file"));
  EXPECT_THAT(file_failure("[models.a]\nfile = \"x\"\napi_key = \"k\"\n"),
              HasSubstr("are for models with base_urls"));
  EXPECT_THAT(
      file_failure("[models.a]\nbase_urls = [\"http://h/v1\"]\napi_key = \"k\"\napi_key_env = \"K\"\n"),
      HasSubstr("set api_key or api_key_env, not both"));
  EXPECT_EQ(file_failure("[models.a]\nbase_urls = [\"http://h/v1\"]\napi_key_env = \"NO_SUCH\"\n"),
            "DIR/hearth.toml:3: models.\"a\".api_key_env: the environment variable NO_SUCH is not set");
  EXPECT_THAT(file_failure("[models.a]\nfile = \"x\"\nchat_template_file = \"none\"\n"),
              HasSubstr("hearth.toml:3: models.\"a\".chat_template_file: "));
}

TEST_F(ConfigTest, WhatMustHoldBetweenSettings) {
  EXPECT_EQ(file_failure("[server]\nlisten = []\n"),
            "DIR/hearth.toml:2: server.listen: expected at least one address");
  EXPECT_EQ(file_failure("[server]\nlisten = [\"8080\"]\n"),
            "DIR/hearth.toml:2: server.listen: expected HOST:PORT, [IPV6]:PORT or unix:/PATH, not \"8080\"");
  EXPECT_EQ(file_failure("[server]\ntls_key = \"k.pem\"\n"),
            "DIR/hearth.toml:2: server.tls_key: needs server.tls_certificate too");
  EXPECT_THAT(file_failure("[server]\ncors_origins = [\"https://a.example/path\"]\n"),
              HasSubstr("server.cors_origins: expected origins"));
  EXPECT_EQ(file_failure("[models.a]\nfile = \"x\"\n[aliases]\na = \"b\"\n"),
            "DIR/hearth.toml:4: aliases.\"a\": a model has this name");
  EXPECT_EQ(file_failure("[models.a]\nfile = \"x\"\naliases = [\"c\"]\n[aliases]\nc = \"b\"\n"),
            "DIR/hearth.toml:5: aliases.\"c\": names both b and a");
  EXPECT_THAT(file_failure("[pull]\nendpoint = \"ftp://x\"\n"), HasSubstr("pull.endpoint: expected an http"));
  EXPECT_EQ(file_failure("[server]\npublic_url = \"example.org\"\n"),
            "DIR/hearth.toml:2: server.public_url: expected an http or https URL, not \"example.org\"");
}

TEST_F(ConfigTest, TlsHoldsForTcpAddressesOnly) {
  use_file(
      "[server]\nlisten = [\"0.0.0.0:443\", \"unix:/s\"]\ntls_certificate = \"c.pem\"\ntls_key = "
      "\"k.pem\"\n");
  const auto addresses = listen_addresses(config());
  ASSERT_EQ(addresses.size(), 2u);
  ASSERT_TRUE(addresses[0].tls.has_value());
  EXPECT_EQ(addresses[0].tls->certificate_file, directory_ + "/c.pem");
  EXPECT_FALSE(addresses[1].tls.has_value());
}

TEST_F(ConfigTest, SecretsAreNeverShown) {
  use_file(
      "[models.a]\nbase_urls = [\"http://h/v1\"]\napi_key = \"sk-hidden\"\n"
      "[models.b]\nbase_urls = [\"http://h/v1\"]\napi_key_env = \"B_KEY\"\n");
  sources_.environment["B_KEY"] = "sk-also-hidden";
  const std::string printed = render_config(load());
  EXPECT_THAT(printed, Not(HasSubstr("hidden")));
  EXPECT_THAT(printed, HasSubstr("models.\"a\".api_key = \"***\""));
  EXPECT_THAT(printed, HasSubstr("models.\"b\".api_key_env = \"B_KEY\""));
  EXPECT_THAT(file_failure("[models.a]\napi_key = 12345\n"), Not(HasSubstr("12345")));
}

TEST_F(ConfigTest, WhatIsPrintedCanBeReadAgain) {
  use_file(R"(
default_model = "with \"quotes\" and \\"
[server]
listen = ["127.0.0.1:1", "unix:/x"]
idle_time = "1500ms"
[models."a.b"]
file = "x.gguf"
chat_template = "line\nline"
[aliases]
"c.d" = "a.b"
)");
  sources_.environment["HEARTH_LOG_LEVEL"] = "warn";
  const std::string first = render_config(load());
  EXPECT_THAT(first, HasSubstr("server.idle_time = \"1500ms\""));
  EXPECT_THAT(first, HasSubstr("# environment HEARTH_LOG_LEVEL\n"));
  EXPECT_THAT(first, HasSubstr("# file " + directory_ + "/hearth.toml:5\n"));
  EXPECT_THAT(first, HasSubstr("# default\n"));
  use_file(first);
  sources_.environment.clear();
  const auto without_origins = [](std::string text) {
    std::string out;
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = text.find('\n', start);
      const std::string line = text.substr(start, end - start);
      out += line.substr(0, line.rfind("  # ")) + "\n";
      start = end + 1;
    }
    return out;
  };
  EXPECT_EQ(without_origins(render_config(load())), without_origins(first));
}

TEST(Settings, NamesAndDocsAreComplete) {
  std::set<std::string> variables;
  for (const Setting& setting : settings()) {
    EXPECT_FALSE(setting.doc.empty()) << setting.name;
    EXPECT_TRUE(variables.insert(environment_name(setting.name)).second) << setting.name;
    EXPECT_EQ(setting.form == Form::choice, !setting.choices.empty()) << setting.name;
  }
  EXPECT_EQ(environment_name("server.idle_time"), "HEARTH_SERVER_IDLE_TIME");
  Config config;
  for (const auto& setting : settings()) {
    // Every default is a value that the setting itself accepts.
    const std::string text = render_value(setting, setting.slot(config));
    if (setting.form != Form::size && setting.form != Form::duration && setting.form != Form::choice)
      continue;
    EXPECT_TRUE(assign(setting, setting.slot(config), Untyped{text.substr(1, text.size() - 2)}, "/"))
        << setting.name << " " << text;
  }
}

TEST(Settings, ListenAddresses) {
  for (const char* good : {"127.0.0.1:0", "localhost:8080", "[::1]:65535", "unix:/run/x.sock"}) {
    EXPECT_TRUE(is_listen_address(good)) << good;
  }
  for (const char* bad : {"", ":80", "host", "host:", "host:65536", "host:-1", "::1:80", "[]:80", "[::1]",
                          "unix:", "unix:/", "unix:relative", "host:80 "}) {
    EXPECT_FALSE(is_listen_address(bad)) << bad;
  }
}

TEST(Settings, TheReferenceIsUpToDate) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "docs" / "CONFIG.md");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(text, render_config_reference()) << "hearth config --markdown > docs/CONFIG.md";
}

}  // namespace
}  // namespace hearth::app
