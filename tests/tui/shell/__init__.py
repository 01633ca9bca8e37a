"""Tests of what surrounds the panels: prompt, command line, help, palette, pause, compose."""
