"""The games ALE ships that one player can play. A static list, so that listing experiments loads no emulator."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXCLUDED_GAMES", "EXPERIMENT_NAMES", "GAMES"]

_ROM_IDS = """
    adventure air_raid alien amidar assault asterix asteroids atlantis atlantis2 backgammon bank_heist basic_math
    battle_zone beam_rider berzerk blackjack bowling boxing breakout carnival casino centipede chopper_command
    crazy_climber crossbow darkchambers defender demon_attack donkey_kong double_dunk earthworld elevator_action enduro
    entombed et fishing_derby flag_capture freeway frogger frostbite galaxian gopher gravitar hangman haunted_house hero
    human_cannonball ice_hockey jamesbond journey_escape kaboom kangaroo keystone_kapers king_kong klax koolaid krull
    kung_fu_master laser_gates lost_luggage mario_bros miniature_golf montezuma_revenge mr_do ms_pacman name_this_game
    othello pacman phoenix pitfall pitfall2 pong pooyan private_eye qbert riverraid road_runner robotank seaquest
    sir_lancelot skiing solaris space_invaders space_war star_gunner superman surround tennis tetris tic_tac_toe_3d
    time_pilot trondead turmoil tutankham up_n_down venture video_checkers video_chess video_cube video_pinball
    wizard_of_wor word_zapper yars_revenge zaxxon
"""
GAMES = tuple(_ROM_IDS.split())

EXCLUDED_GAMES = ("combat", "joust", "maze_craze", "warlords")

EXPERIMENT_NAMES: Mapping[str, str] = {{"jamesbond": "james_bond"}.get(game, game): game for game in GAMES}
"""The ROM id of each single-game experiment, by the experiment's name."""
