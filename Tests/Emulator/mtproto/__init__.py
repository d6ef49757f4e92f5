"""The MTProto half of the emulated Telegram: data centres that accounts log in to."""
