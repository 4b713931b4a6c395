// The framed format of edge-ecg, version 1, from the board's side. ../README.md describes it byte by byte.
// Plain C++11: no Arduino needed, so that a workstation can compile and check it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace framed {

const uint8_t SYNC_1 = 0xEC, SYNC_2 = 0x47;

enum Type : uint8_t { DATA = 0x11, INFO = 0x12, ASK_INFO = 0x18, START = 0x19, STOP = 0x1A };

enum State : uint8_t { STREAMING = 0x01, OBEYS = 0x02, EVEN = 0x04, ELECTRODES = 0x08 };

enum Flag : uint8_t { PLUS_OFF = 0x01, MINUS_OFF = 0x02, REFERENCE_OFF = 0x04, SATURATED = 0x08 };

// CRC-16/IBM-3740: polynomial 0x1021, start 0xFFFF, high bit first.
inline uint16_t crc16(const uint8_t *bytes, size_t n) {
  uint16_t crc = 0xFFFF;
  while (n--) {
    crc ^= (uint16_t)*bytes++ << 8;
    for (uint8_t bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (uint16_t)(crc << 1) ^ 0x1021 : crc << 1;
  }
  return crc;
}

// A frame under construction. What does not fit is left out; choose CAPACITY to hold the largest frame.
template <size_t CAPACITY>
class Frame {
 public:
  void begin(Type type) {
    size_ = 0;
    put8(SYNC_1);
    put8(SYNC_2);
    put8(type);
    put8(0);  // the length, filled in by end()
  }
  void put8(uint8_t value) {
    if (size_ < CAPACITY) bytes_[size_++] = value;
  }
  void put16(uint16_t value) {
    put8(value & 0xFF);
    put8(value >> 8);
  }
  void put32(uint32_t value) {
    put16(value & 0xFFFF);
    put16(value >> 16);
  }
  void putText(const char *text, uint8_t width) {  // padded with zero bytes
    while (width--) put8(*text ? *text++ : 0);
  }
  void end() {
    bytes_[3] = size_ - 4;
    put16(crc16(bytes_ + 2, size_ - 2));
  }
  const uint8_t *bytes() const { return bytes_; }
  size_t size() const { return size_; }

 private:
  uint8_t bytes_[CAPACITY];
  size_t size_ = 0;
};

// Reads what the host says, a byte at a time. Commands have no payload: six bytes each.
class Commands {
 public:
  // Returns ASK_INFO, START or STOP when this byte ends one, else 0.
  uint8_t take(uint8_t byte) {
    for (uint8_t i = 0; i < 5; i++) last_[i] = last_[i + 1];
    last_[5] = byte;
    if (last_[0] != SYNC_1 || last_[1] != SYNC_2 || last_[3] != 0) return 0;
    if (last_[2] != ASK_INFO && last_[2] != START && last_[2] != STOP) return 0;
    const uint16_t crc = crc16(last_ + 2, 2);
    return last_[4] == (crc & 0xFF) && last_[5] == crc >> 8 ? last_[2] : 0;
  }

 private:
  uint8_t last_[6] = {0, 0, 0, 0, 0, 0};
};

}  // namespace framed
