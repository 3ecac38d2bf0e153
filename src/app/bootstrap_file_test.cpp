#include "app/bootstrap_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "app/welcome.hpp"
#include "json/json.hpp"

namespace hearth::app {
namespace {

namespace fs = std::filesystem;

const BootstrapFacts facts{.base_url = "http://127.0.0.1:8080/v1",
                           .admin_key = "sk-admin-1",
                           .api_key = "sk-proj-2",
                           .organization_id = "org-3",
                           .project_id = "proj_4",
                           .default_model = "tiny"};

class BootstrapFileTest : public ::testing::Test {
 protected:
  BootstrapFileTest() {
    std::string name = (fs::temp_directory_path() / "hearth-bootstrap-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/bootstrap.json";
  }
  ~BootstrapFileTest() override { fs::remove_all(directory_); }

  std::string content() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t count_files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory_), {}));
  }

  std::string directory_;
  std::string path_;
};

TEST_F(BootstrapFileTest, HoldsTheFactsForItsOwnerAlone) {
  const mode_t old_mask = ::umask(0);
  write_bootstrap_file(path_, facts);
  ::umask(old_mask);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  const auto document = json::parse(content());
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(json::write(*document),
            R"({"base_url":"http://127.0.0.1:8080/v1","admin_key":"sk-admin-1","api_key":"sk-proj-2",)"
            R"("organization_id":"org-3","project_id":"proj_4","default_model":"tiny"})");
  EXPECT_EQ(count_files(), 1u);
}

TEST_F(BootstrapFileTest, ReplacesAnOpenFileByAPrivateOne) {
  std::ofstream(path_) << "old";
  fs::permissions(path_, fs::perms::all);
  write_bootstrap_file(path_, facts);
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(content().find("old"), std::string::npos);
}

TEST_F(BootstrapFileTest, FailsByNameAndLeavesNothing) {
  try {
    write_bootstrap_file(directory_ + "/none/b.json", facts);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()),
              directory_ + "/none/b.json: cannot be created: No such file or directory");
  }
  fs::create_directories(path_ + "/occupied");
  EXPECT_THROW(write_bootstrap_file(path_, facts), std::runtime_error);
  EXPECT_EQ(count_files(), 1u);
}

TEST(Welcome, ShowsTheKeysAndSnippets) {
  const std::string text = render_welcome(facts, Subject::any);
  for (const char* part : {"http://127.0.0.1:8080/v1", "sk-admin-1", "sk-proj-2", "curl", "OpenAI(base_url=",
                           "baseURL: \"http://127.0.0.1:8080/v1\"", "\"model\": \"tiny\""}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  EXPECT_NE(text.find("Hello!"), std::string::npos);
}

TEST(Welcome, SaysThatAModelKnowsOneSubjectOrIsMissing) {
  const std::string guided = render_welcome(facts, Subject::hearth);
  EXPECT_NE(guided.find("The model tiny is small and knows one subject, Hearth"), std::string::npos);
  EXPECT_NE(guided.find("How do I add a model?"), std::string::npos);
  BootstrapFacts bare = facts;
  bare.api_key.clear();
  bare.admin_key.clear();
  EXPECT_NE(render_welcome(bare, Subject::any).find("Authentication is off"), std::string::npos);
  bare.default_model.clear();
  EXPECT_NE(render_welcome(bare, Subject::any).find("hearth models add"), std::string::npos);
}

}  // namespace
}  // namespace hearth::app
