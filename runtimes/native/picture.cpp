// Read frames with libpng, without its conversion of gamma: pixels are taken as they are stored.
#include "picture.hpp"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include "error.hpp"

namespace {

using File = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

File open_file(const std::string& path, const char* mode) {
    File file(std::fopen(path.c_str(), mode), std::fclose);
    if (!file) throw Refused(path + " cannot be opened: " + std::strerror(errno));
    return file;
}

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void ignore_warning(png_structp, png_const_charp) {}

// libpng's own handler prints a line of its own on standard error.
[[noreturn]] void jump(png_structp png, png_const_charp) { png_longjmp(png, 1); }

struct PngReader {
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, jump, ignore_warning);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct PngWriter {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, jump, ignore_warning);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

enum class Header { read, damaged };

// libpng reports errors by longjmp: the functions below that set a jump hold no object with a destructor.
Header read_header(const PngReader& reader, std::FILE* file) {
    if (setjmp(png_jmpbuf(reader.png))) return Header::damaged;
    png_init_io(reader.png, file);
    png_read_info(reader.png, reader.info);
    return Header::read;
}

bool read_rows(const PngReader& reader, std::uint8_t* pixels, std::size_t stride, std::size_t height) {
    if (setjmp(png_jmpbuf(reader.png))) return false;
    png_set_palette_to_rgb(reader.png);
    png_set_expand_gray_1_2_4_to_8(reader.png);
    png_set_gray_to_rgb(reader.png);
    png_set_strip_alpha(reader.png);
    const int passes = png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    if (png_get_rowbytes(reader.png, reader.info) != stride) return false;
    for (int pass = 0; pass < passes; ++pass)
        for (std::size_t row = 0; row < height; ++row) png_read_row(reader.png, pixels + row * stride, nullptr);
    png_read_end(reader.png, nullptr);
    return true;
}

std::vector<std::uint8_t> read_png(const std::string& path, std::int64_t height, std::int64_t width) {
    const File file = open_file(path, "rb");
    const PngReader reader;
    if (!reader.info) throw Refused("libpng cannot be started");
    if (read_header(reader, file.get()) == Header::damaged) throw Refused(path + " is no whole PNG");
    const std::int64_t found_height = png_get_image_height(reader.png, reader.info);
    const std::int64_t found_width = png_get_image_width(reader.png, reader.info);
    if (found_height != height || found_width != width)
        throw Refused(path + ": got a frame of " + std::to_string(found_height) + "x" + std::to_string(found_width) +
                      "; expected " + std::to_string(height) + "x" + std::to_string(width));
    if (png_get_bit_depth(reader.png, reader.info) > 8) throw Refused(path + ": got 16 bits a channel; expected 8");
    if (png_get_valid(reader.png, reader.info, PNG_INFO_eXIf))
        throw Refused(path + ": got a PNG with EXIF data, which may ask for a rotation; expected pixels as they are");
    const std::size_t stride = static_cast<std::size_t>(width) * 3;
    std::vector<std::uint8_t> pixels(stride * static_cast<std::size_t>(height));
    if (!read_rows(reader, pixels.data(), stride, static_cast<std::size_t>(height)))
        throw Refused(path + " has damaged pixels");
    return pixels;
}

std::vector<std::uint8_t> read_raw(const std::string& path, std::size_t size) {
    const File file = open_file(path, "rb");
    std::vector<std::uint8_t> pixels(size + 1);
    const std::size_t got = std::fread(pixels.data(), 1, pixels.size(), file.get());
    if (got != size)
        throw Refused(path + ": got " + (got > size ? "more than " + std::to_string(size) : std::to_string(got)) +
                      " bytes; expected " + std::to_string(size) + ", height * width * 3");
    pixels.pop_back();
    return pixels;
}

bool write_rows(const PngWriter& writer, std::FILE* file, const std::uint8_t* pixels, png_uint_32 height,
                png_uint_32 width) {
    if (setjmp(png_jmpbuf(writer.png))) return false;
    png_init_io(writer.png, file);
    png_set_IHDR(writer.png, writer.info, width, height, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer.png, writer.info);
    for (png_uint_32 row = 0; row < height; ++row) png_write_row(writer.png, pixels + std::size_t(row) * width);
    png_write_end(writer.png, nullptr);
    return std::fflush(file) == 0;
}

}  // namespace

std::vector<std::uint8_t> read_frame(const std::string& path, std::int64_t height, std::int64_t width) {
    if (ends_with(path, ".rgb")) return read_raw(path, static_cast<std::size_t>(height * width) * 3);
    return read_png(path, height, width);
}

void write_map(const std::string& path, const float* values, std::int64_t height, std::int64_t width,
               const Decision& decision) {
    const File file = open_file(path, "wb");
    const std::size_t size = static_cast<std::size_t>(height * width);
    if (!ends_with(path, ".png")) {
        if (std::fwrite(values, sizeof(float), size, file.get()) != size || std::fflush(file.get()) != 0)
            throw Refused(path + " cannot be written: " + std::strerror(errno));
        return;
    }
    std::vector<std::uint8_t> pixels(size);
    for (std::size_t i = 0; i < size; ++i)
        pixels[i] = static_cast<std::uint8_t>(std::lround(255 * decision.normalised(values[i], decision.pixel_threshold)));
    const PngWriter writer;
    if (!writer.info || !write_rows(writer, file.get(), pixels.data(), static_cast<png_uint_32>(height),
                                    static_cast<png_uint_32>(width)))
        throw Refused(path + " cannot be written");
}
