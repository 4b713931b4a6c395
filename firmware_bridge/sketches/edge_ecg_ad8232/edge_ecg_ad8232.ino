// ECG from an AD8232 board to edge-ecg, in its framed format (../README.md). For the Uno, Nano, Mega and the ESP32.
//
// Samples are taken by a timer and wait in a ring; loop() packs them into frames. A frame goes out when the
// serial port has room for all of it. Until then the next samples wait in the ring, and when that is full they
// are dropped: nothing here ever blocks, so the pace of sampling is never disturbed, and what was dropped shows
// in the next frame's number.
//
// Not a medical device. Run the board from a battery-powered computer when somebody is wired to it.

#include <Arduino.h>

#include "frames.h"
#include "sampling.h"
#include "settings.h"

static framed::Frame<60> frame;  // no larger than what the serial port takes at once: 63 bytes on an Uno
static bool unsent = false;      // the frame waits for room
static framed::Commands commands;
static Sample waiting[SAMPLES_PER_FRAME];
static uint8_t held = 0;
static uint8_t run_number = 0;
static bool streaming = true;
static bool info_wanted = true;
static uint32_t info_sent_ms = 0;

static void send() {
  unsent = (size_t)Serial.availableForWrite() < frame.size();
  if (!unsent) Serial.write(frame.bytes(), frame.size());
}

static void sendInfo() {
  frame.begin(framed::INFO);
  frame.put8(run_number);
  frame.put8((streaming ? framed::STREAMING : 0) | framed::OBEYS | framed::EVEN | framed::ELECTRODES);
  frame.put32((uint32_t)FS_HZ * 1000);
  frame.put16(0);  // no accelerometer
  frame.put8(1);   // channels
  frame.put8(2);   // bytes a sample
  frame.putText(BOARD_NAME, 12);
  frame.put8(1);  // an ECG
  frame.putText("ECG", 7);
  frame.put32(CONVERTER.pv_per_count);
  frame.put32(CONVERTER.zero);
  frame.put32(CONVERTER.low);
  frame.put32(CONVERTER.high);
  frame.end();
  send();
  info_wanted = false;
  info_sent_ms = millis();
}

static void sendWaiting() {
  frame.begin(framed::DATA);
  frame.put8(run_number);
  frame.put8(waiting[0].flags);
  frame.put32(waiting[0].number);
  frame.put32(waiting[held - 1].time_us);
  for (uint8_t i = 0; i < held; i++) frame.put16(waiting[i].count);
  frame.end();
  send();
  held = 0;
}

static void take(const Sample &sample) {
  // A frame has one number and one set of flags: it ends where either does not go on.
  if (held && (sample.flags != waiting[0].flags || sample.number != waiting[held - 1].number + 1)) sendWaiting();
  waiting[held++] = sample;
}

static void obey(uint8_t command) {
  if (!command) return;
  if (command != framed::ASK_INFO) {
    streaming = command == framed::START;
    if (!streaming) held = 0;
  }
  info_wanted = true;
}

void setup() {
  Serial.begin(BAUD);
  run_number = nextRunNumber();
  sendInfo();
  beginSampling();
}

void loop() {
  while (Serial.available()) obey(commands.take(Serial.read()));
  if (unsent) send();
  Sample sample;
  while (!unsent && held < SAMPLES_PER_FRAME && takeSample(&sample)) {
    if (streaming) take(sample);
  }
  if (!unsent && held == SAMPLES_PER_FRAME) sendWaiting();
  if (!unsent && (info_wanted || millis() - info_sent_ms >= INFO_EVERY_MS)) sendInfo();
}
