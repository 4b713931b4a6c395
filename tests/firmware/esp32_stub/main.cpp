// Runs the sketch's ESP32 branch on a workstation: readings from stdin, bytes of its serial port to stdout,
// the time of each reading in microseconds to stderr. Arguments: seconds to run, and a stretch (from, for, in
// microseconds) in which the timer's task does not get to run.
#include <Arduino.h>
#include <esp_random.h>
#include <esp_timer.h>
#include <stdio.h>
#include <stdlib.h>

HardwareSerial Serial;

static int64_t now_us = 300000, due_us = -1;
static esp_timer_cb_t callback;
static int64_t room_us = 0;  // when the transmitter will have sent all that it was given
static int64_t us_per_byte = 0;
static const int FIFO = 128;
static bool measuring = false;

void pinMode(uint8_t, uint8_t) {}
int digitalRead(uint8_t pin) { return pin == 33 && now_us >= 2300000 && now_us < 2800000; }
uint32_t analogReadMilliVolts(uint8_t pin) {
  unsigned value = 0;
  if (pin != A0) abort();
  if (!measuring) return 0;  // the reading that sets the converter up
  if (scanf("%u", &value) != 1) exit(0);
  fprintf(stderr, "%lld\n", (long long)now_us);
  now_us += 70;
  return value;
}
uint32_t micros() { return (uint32_t)now_us; }
uint32_t millis() { return (uint32_t)(now_us / 1000); }
int64_t esp_timer_get_time() { return now_us; }
uint32_t esp_random() { return 0x1234567B; }

esp_err_t esp_timer_create(const esp_timer_create_args_t *how, esp_timer_handle_t *) {
  callback = how->callback;
  return 0;
}
esp_err_t esp_timer_start_once(esp_timer_handle_t, uint64_t timeout_us) {
  due_us = now_us + (int64_t)timeout_us;
  return 0;
}

void HardwareSerial::begin(unsigned long baud) { us_per_byte = 10000000 / baud + 1; }
int HardwareSerial::available() { return 0; }
int HardwareSerial::read() { return -1; }
int HardwareSerial::availableForWrite() {
  return room_us <= now_us ? FIFO : FIFO - (int)((room_us - now_us) / us_per_byte) - 1;
}
size_t HardwareSerial::write(const uint8_t *bytes, size_t n) {
  if (availableForWrite() < (int)n) abort();  // the real one would wait here
  room_us = (room_us > now_us ? room_us : now_us) + (int64_t)n * us_per_byte;
  return fwrite(bytes, 1, n, stdout);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const int64_t end_us = now_us + atoll(argv[1]) * 1000000;
  const int64_t busy_us = atoll(argv[2]), busy_until_us = busy_us + atoll(argv[3]);
  setup();
  measuring = true;
  while (now_us < end_us) {
    const bool busy = now_us >= busy_us && now_us < busy_until_us;
    if (due_us >= 0 && now_us >= due_us && !busy) {
      due_us = -1;
      callback(nullptr);
    }
    loop();
    now_us += 5;
  }
  return 0;
}
