// Files below a folder, read without following links, and their SHA-256.
#include "files.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "error.hpp"

namespace {

namespace fs = std::filesystem;
constexpr std::size_t block_size = 1 << 20;

struct Descriptor {
    int number;
    ~Descriptor() {
        if (number >= 0) ::close(number);
    }
};

class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
            throw Refused("SHA-256 is not available in libcrypto");
    }
    void update(const char* data, std::size_t size) {
        if (EVP_DigestUpdate(context_.get(), data, size) != 1) throw Refused("SHA-256 failed in libcrypto");
    }
    std::string hexadecimal() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        if (EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1)
            throw Refused("SHA-256 failed in libcrypto");
        const char* digits = "0123456789abcdef";
        std::string text;
        for (unsigned i = 0; i < size; ++i) {
            text += digits[digest[i] >> 4];
            text += digits[digest[i] & 15];
        }
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

std::vector<std::string> parts_of(const std::string& name) {
    std::vector<std::string> parts{""};
    for (const char character : name) {
        if (character == '/')
            parts.emplace_back();
        else
            parts.back() += character;
    }
    for (const auto& part : parts)
        if (part.empty() || part == "." || part == ".." || part.find_first_of(std::string("\\:\0", 3)) != part.npos)
            throw Refused("got the file name " + name + "; expected a plain name inside the bundle");
    return parts;
}

std::uint64_t size_of_plain(int file, const std::string& name) {
    struct stat found {};
    if (::fstat(file, &found) != 0 || !S_ISREG(found.st_mode)) throw Refused(name + " is not a plain file");
    return static_cast<std::uint64_t>(found.st_size);
}

template <typename Use>
void read_blocks(int file, const std::string& name, Use use) {
    std::vector<char> block(block_size);
    for (;;) {
        const ssize_t got = ::read(file, block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Refused(name + " cannot be read: " + std::strerror(errno));
        if (got == 0) return;
        use(block.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace

Folder::Folder(const std::string& path)
    : path_(path), folder_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (folder_ < 0) throw Refused("got " + path + "; expected the folder of a bundle: " + std::strerror(errno));
}

Folder::~Folder() { ::close(folder_); }

// O_NONBLOCK: opening a pipe would wait for its writer.
int Folder::open(const std::string& name) const {
    const auto parts = parts_of(name);
    int at = ::dup(folder_);
    for (std::size_t i = 0; i < parts.size() && at >= 0; ++i) {
        const bool last = i + 1 == parts.size();
        const int kind = last ? O_NONBLOCK : O_DIRECTORY;
        const int next = ::openat(at, parts[i].c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind);
        const int error = errno;
        ::close(at);
        errno = error;
        at = next;
    }
    return at;
}

std::optional<std::string> Folder::read(const std::string& name, std::uint64_t limit) const {
    const Descriptor file{open(name)};
    if (file.number < 0 && errno == ENOENT) return std::nullopt;
    if (file.number < 0) throw Refused(path_ + "/" + name + " cannot be read: " + std::strerror(errno));
    if (size_of_plain(file.number, name) > limit) throw Refused(name + " is larger than any that anomedge writes");
    std::string content;
    read_blocks(file.number, name, [&](const char* data, std::size_t size) {
        if (content.size() + size > limit) throw Refused(name + " grew while it was read");
        content.append(data, size);
    });
    return content;
}

std::string Folder::sha256(const std::string& name, std::uint64_t size, std::string* content) const {
    const Descriptor file{open(name)};
    if (file.number < 0)
        throw Refused(path_ + "/" + name + " cannot be read: " + std::strerror(errno) + "; copy the bundle again");
    if (size_of_plain(file.number, name) != size)
        throw Refused(name + " has not the size that the manifest states; copy the bundle again");
    Sha256 hash;
    std::uint64_t total = 0;
    if (content) content->reserve(size);
    read_blocks(file.number, name, [&](const char* data, std::size_t length) {
        total += length;
        if (total > size) throw Refused(name + " grew while it was read");
        hash.update(data, length);
        if (content) content->append(data, length);
    });
    return hash.hexadecimal();
}

std::vector<std::string> Folder::list() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
        const auto status = entry.symlink_status();
        if (fs::is_directory(status)) continue;
        const auto name = entry.path().lexically_relative(path_).generic_string();
        if (!fs::is_regular_file(status)) throw Refused(name + " is a link, a pipe or a device; expected plain files");
        names.push_back(name);
    }
    return names;
}

std::string sha256_of(const std::string& content) {
    Sha256 hash;
    hash.update(content.data(), content.size());
    return hash.hexadecimal();
}
