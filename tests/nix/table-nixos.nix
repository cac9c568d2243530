# Machines whose services are NixOS's own: for the real modules only.
let
  gated = becomes: module: {
    module = {
      imports = [ module ];
      services.upgrade-gate.enable = true;
      services.upgrade-gate.units = builtins.mapAttrs (_: _: { }) becomes;
    };
    inherit becomes;
  };
in
{
  cachix-agent = gated { cachix-agent = "companion"; } {
    services.cachix-agent.enable = true;
    services.cachix-agent.name = "laptop";
  };
  restic = gated { restic-backups-home = "companion"; } {
    services.restic.backups.home = {
      repository = "sftp:backup@host:/srv";
      passwordFile = "/etc/restic";
      paths = [ "/home" ];
    };
  };
  borgbackup = gated { borgbackup-job-home = "run"; } {
    services.borgbackup.jobs.home = {
      paths = [ "/home" ];
      repo = "borg@host:.";
      encryption.mode = "none";
    };
  };
  acme = gated { "acme-example.org" = "companion"; } {
    security.acme.acceptTerms = true;
    security.acme.defaults.email = "me@example.org";
    security.acme.certs."example.org".webroot = "/srv/acme";
  };
  flatpak = gated { flatpak-update = "run"; } {
    systemd.services.flatpak-update = {
      startAt = "daily";
      serviceConfig.Type = "oneshot";
      script = "flatpak update -y";
    };
  };
  guarded = {
    module.services.upgrade-gate = {
      enable = true;
      autoUpgrade.enable = true;
      autoUpgrade.guard.enable = true;
    };
    module.system.autoUpgrade.enable = true;
    becomes.nixos-upgrade = "run";
  };
  channels = gated { nixos-upgrade = "run"; } {
    system.autoUpgrade.enable = true;
    system.autoUpgrade.rebootWindow = {
      lower = "01:00";
      upper = "05:00";
    };
    system.autoUpgrade.allowReboot = true;
  };
  container = gated { nixos-upgrade = "run"; } {
    boot.isContainer = true;
    system.autoUpgrade.enable = true;
  };
  networkd = gated { nixos-upgrade = "run"; } {
    networking.useNetworkd = true;
    system.autoUpgrade.enable = true;
  };
  network-manager = gated { nixos-upgrade = "run"; } {
    networking.networkmanager.enable = true;
    networking.proxy.default = "http://proxy:3128";
    system.autoUpgrade.enable = true;
  };
  suppressed = gated { nixos-upgrade = "run"; } {
    systemd.suppressedSystemUnits = [ "dbus-org.freedesktop.hostname1.service" ];
    system.autoUpgrade.enable = true;
  };
  when-online = gated { nixos-upgrade = "run"; } {
    services.upgrade-gate.autoUpgrade.enable = true;
    services.upgrade-gate.autoUpgrade.whenOnline = "20h";
    system.autoUpgrade.enable = true;
  };
}
