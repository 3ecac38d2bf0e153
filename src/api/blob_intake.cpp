#include "api/blob_intake.hpp"

#include <utility>

namespace hearth::api {
namespace {

class Source final : public contract::ByteSource {
 public:
  explicit Source(std::unique_ptr<store::BlobReader> reader) : reader_(std::move(reader)) {}
  std::uint64_t size() const override { return reader_->info().size; }
  Task<std::size_t> read(std::uint64_t offset, std::span<char> out) override {
    return reader_->read(offset, out);
  }

 private:
  std::unique_ptr<store::BlobReader> reader_;
};

class DraftContent final : public contract::FileContent {
 public:
  explicit DraftContent(std::unique_ptr<store::DraftBlob> draft) : draft_(std::move(draft)) {}
  std::uint64_t size() const override { return draft_->info().size; }
  Task<std::size_t> read(std::uint64_t offset, std::span<char> out) override {
    return draft_->read(offset, out);
  }
  Task<BlobId> keep() override {
    co_await draft_->commit();
    co_return draft_->id();
  }

 private:
  std::unique_ptr<store::DraftBlob> draft_;
};

class Sink final : public contract::FileSink {
 public:
  explicit Sink(std::unique_ptr<store::BlobWriter> writer) : writer_(std::move(writer)) {}
  Task<void> write(std::string_view bytes) override { return writer_->write(bytes); }
  Task<Finished> finish() override {
    auto draft = co_await writer_->seal();
    Finished finished;
    finished.sha256 = draft->info().sha256;
    finished.content = std::make_unique<DraftContent>(std::move(draft));
    co_return finished;
  }

 private:
  std::unique_ptr<store::BlobWriter> writer_;
};

}  // namespace

Task<std::unique_ptr<contract::FileSink>> BlobIntake::open() {
  auto writer = co_await blobs_.create();
  co_return std::make_unique<Sink>(std::move(writer));
}

std::unique_ptr<contract::ByteSource> blob_source(std::unique_ptr<store::BlobReader> reader) {
  return std::make_unique<Source>(std::move(reader));
}

}  // namespace hearth::api
