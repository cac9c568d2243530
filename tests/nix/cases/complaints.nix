# What is refused, and in which words.
{
  channel,
  enabled,
  evaluate,
  flake,
  fwupd,
  has,
  online,
  settings,
  ...
}:
let
  complaints =
    config: map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  # the words that the only complaint must have
  complaint =
    words: configuration:
    let
      found = complaints (enabled configuration);
    in
    if builtins.length found == 1 && has words (builtins.head found) then true else found;
  refused = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
in
{
  "a value of the wrong type is refused" = [
    (map
      (
        profile: refused (settings (enabled { services.upgrade-gate.profiles.a = profile; }))
      )
      [
        { metered = "no"; }
        { attempts = 0; }
        { power.battery_at_least = 101; }
        { final_exit_status = [ 256 ]; }
        { final_if_changed = [ "relative" ]; }
        { settle = 2; }
        { setle = "2s"; }
        { settle = "2s"; }
      ]
    )
    [
      true
      true
      true
      true
      true
      true
      true
      false
    ]
  ];
  "nobody complains about what is right" = [
    (map complaints [
      flake
      channel
      fwupd
      (enabled {
        services.upgrade-gate.units.job = { };
        systemd.services.job = online;
      })
    ])
    [
      [ ]
      [ ]
      [ ]
      [ ]
    ]
  ];
  "something to gate without upgrade-gate is complained about" = [
    (builtins.length (complaints (evaluate { services.upgrade-gate.watch.enable = true; }).config))
    1
  ];
  "autoUpgrade without system.autoUpgrade is complained about" = [
    (complaint "Set system.autoUpgrade.enable = true" {
      services.upgrade-gate.autoUpgrade.enable = true;
    })
    true
  ];
  "fwupdRefresh without fwupd is complained about" = [
    (complaint "Set services.fwupd.enable = true" {
      services.upgrade-gate.fwupdRefresh.enable = true;
    })
    true
  ];
  "an upgrade that is gated twice is complained about" = [
    (complaint "gated twice" {
      services.upgrade-gate.autoUpgrade.enable = true;
      services.upgrade-gate.units.nixos-upgrade.mode = "pre";
      system.autoUpgrade.enable = true;
    })
    true
  ];
  "a unit that does not exist is complained about" = [
    (complaint "there is no systemd.services.nobody" {
      services.upgrade-gate.units.nobody.mode = "companion";
    })
    true
  ];
  "a unit without a command is complained about in mode run" = [
    (complaint "no command of job.service is known" {
      services.upgrade-gate.units.job = { };
      systemd.services.job = { };
    })
    true
  ];
  "a daemon is complained about in mode run" = [
    (complaint "Type=notify" {
      services.upgrade-gate.units.job = { };
      systemd.services.job = {
        script = "true";
        serviceConfig.Type = "notify";
      };
    })
    true
  ];
  "what would be run before the gate, or take not now for done, is complained about in mode run" = [
    (map
      (
        { words, ... }@service:
        complaint words {
          services.upgrade-gate.units.job = { };
          systemd.services.job = {
            script = "true";
          }
          // removeAttrs service [ "words" ];
        }
      )
      [
        {
          words = "ExecCondition=";
          serviceConfig.ExecCondition = "/bin/c";
        }
        {
          words = "Restart=always";
          serviceConfig.Restart = "always";
        }
        {
          words = "RemainAfterExit=";
          serviceConfig.RemainAfterExit = true;
        }
        {
          words = "ExecStartPost= without Type=oneshot";
          serviceConfig.ExecStartPost = "/bin/p";
        }
        {
          words = "ExecStopPost=";
          serviceConfig.ExecStopPost = "/bin/p";
        }
        {
          words = "OnSuccess=";
          unitConfig.OnSuccess = "other.service";
        }
        {
          words = "ExecStartPre= that cannot be moved";
          serviceConfig.ExecStartPre = "+/bin/p";
        }
        {
          words = "ExecStartPre= that cannot be moved";
          serviceConfig.ExecStartPre = "/bin/p $X";
        }
        {
          words = "ExecStartPre= that cannot be moved";
          serviceConfig.ExecStartPre = "/bin/p";
          serviceConfig.SuccessExitStatus = 3;
        }
      ]
    )
    [
      true
      true
      true
      true
      true
      true
      true
      true
      true
    ]
  ];
  "a companion of another profile is complained about" = [
    (complaint "always uses the profile job" {
      services.upgrade-gate.units.job.mode = "companion";
      services.upgrade-gate.units.job.profile = "other";
      systemd.services.job.script = "true";
    })
    true
  ];
  "a companion of a template is complained about" = [
    (complaint "which templates do not support" {
      services.upgrade-gate.units."job@".mode = "companion";
      systemd.services."job@".script = "true";
    })
    true
  ];
}
