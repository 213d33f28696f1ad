# Toolchain for 64-bit Arm, from another processor: Debian's and Ubuntu's cross-compiler, and a folder with the device's
# packages (libpng-dev, libssl-dev, nlohmann-json3-dev), given as CMAKE_SYSROOT.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
