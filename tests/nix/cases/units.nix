# What becomes of units; table.nix has the rest.
{
  enabled,
  evaluate,
  gates,
  online,
  settings,
  ...
}:
{
  "nothing is changed unless it is enabled" = [
    (
      let
        inherit (evaluate { systemd.services.job = online; }) config;
      in
      [
        config.systemd.services.job.wants
        config.systemd.packages
      ]
    )
    [
      online.wants
      [ ]
    ]
  ];
  "without a unit there are no drop-ins" = [
    (builtins.length (enabled { }).systemd.packages)
    1
  ];
  "the program is asked for each unit, with the mode and profile that are set" = [
    (gates (enabled {
      services.upgrade-gate.units = {
        a = { };
        b.mode = "pre";
        c.profile = "%i";
        "d\\x2d".profile = "it's";
      };
      services.upgrade-gate.userUnits.e = { };
    }))
    [
      "gate system a"
      "gate system b --mode=pre"
      "gate system c --profile=%i"
      "gate system 'd\\x2d' '--profile=it'\\''s'"
      "gate user e"
    ]
  ];
  "the profile of a gated unit counts as known, and that of a template is named as drop-in names it" = [
    (settings (enabled {
      services.upgrade-gate.units = {
        job.profile = "other";
        plain = { };
        "backup@" = { };
        "each@".profile = "%i";
      };
    })).profile
    {
      other = { };
      plain = { };
      backup = { };
    }
  ];
}
