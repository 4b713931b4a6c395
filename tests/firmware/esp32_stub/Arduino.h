// As much of the Arduino core of the ESP32 as the sketch uses, on a clock that the stub turns. Signatures as in
// espressif/arduino-esp32 2.x and 3.x (cores/esp32/Arduino.h, esp32-hal-adc.h, HardwareSerial.h).
#pragma once

#include <stddef.h>
#include <stdint.h>

#define A0 36
#define INPUT 0x01

void pinMode(uint8_t pin, uint8_t mode);
int digitalRead(uint8_t pin);
uint32_t analogReadMilliVolts(uint8_t pin);
uint32_t micros();  // unsigned long there, which has 32 bits there
uint32_t millis();

class HardwareSerial {
 public:
  void begin(unsigned long baud);
  int available();
  int read();
  int availableForWrite();
  size_t write(const uint8_t *bytes, size_t n);
};
extern HardwareSerial Serial;

void setup();
void loop();
