#!/bin/sh
# Hash the sensors' password into memory, then run the broker.
set -eu
umask 077
mosquitto_passwd -c -b /run/mosquitto/passwords sensors "$(cat /run/secrets/mqtt_password)"
exec mosquitto -c /mosquitto/config/mosquitto.conf
