//! Paths that ordinary clients never ask for, by what an attacker hopes to find there.

use ase_core::path::NormalPath;
use hashbrown::HashTable;

use crate::hash::Hasher;

const LONGEST_WORD: usize = 40;

/// What a path is after; the worse the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sensitive {
    /// A script in a language that the site may not speak.
    Script,
    /// Pages for operators: their own may look for them, too.
    Admin,
    /// Configuration, a copy or a dump left behind, or a hidden file.
    Backup,
    /// Files and doors that programs of some makers have, and that have been broken before.
    Suspicious,
    /// Secrets and known holes that nobody asks for by mistake.
    Unequivocal,
}

const ADMIN: &[&[u8]] = &[
    b"admin",
    b"administrator",
    b"phpmyadmin",
    b"phppgadmin",
    b"pma",
    b"myadmin",
    b"mysqladmin",
    b"adminer",
    b"adminer.php",
    b"wp-admin",
    b"wp-login.php",
    b"wp-login",
    b"xmlrpc.php",
    b"wlwmanifest.xml",
    b"manager",
    b"host-manager",
    b"cpanel",
    b"webmail",
    b"plesk",
    b"webadmin",
    b"dbadmin",
    b"sqladmin",
    b"actuator",
    b"jolokia",
    b"jmx-console",
    b"web-console",
    b"server-status",
    b"server-info",
    b"nginx_status",
    b"solr",
    b"druid",
    b"kibana",
    b"jenkins",
    b"grafana",
    b"swagger-ui",
    b"swagger-ui.html",
    b"swagger.json",
    b"swagger.yaml",
    b"openapi.json",
    b"api-docs",
    b"graphiql",
    b"elmah.axd",
    b"trace.axd",
    b"owa",
    b"ecp",
    b"autodiscover",
    b"telescope",
    b"debug",
    b"console",
    b"login.action",
    b"login_sid.lua",
    b"nacos",
    b"hudson",
    b"sitecore",
    b"typo3",
    b"joomla",
    b"wp-json",
    b"wp-includes",
    b"wp-content",
    b"wordpress",
    b"jars",
    b"admin.php",
    b"webui",
    b"hudson.war",
    b"sdk",
    b"remote",
    b"vmware",
    b"proc",
    b"etc",
    b"shell",
    b"invoker",
    b"struts",
    b"uploader",
    b"filemanager",
    b"metrics",
    b"heapdump",
    b"ajax-api",
    b"onvif",
    b"mifs",
    b"luci",
];

const LEFT_BEHIND: &[&[u8]] = &[
    b"config",
    b"configs",
    b"env",
    b"dump",
    b"db_backup",
    b"conf",
    b"configuration",
    b"settings.json",
    b"old",
    b"bak",
];

const SUSPICIOUS: &[&[u8]] = &[
    b"geoserver",
    b"setup-config.php",
    b"wp-config-sample.php",
    b"credentials",
    b"credentials.json",
    b"secrets.json",
    b"secrets.yml",
    b"web.config",
    b"config.php",
    b"config.json",
    b"config.yml",
    b"config.yaml",
    b"configuration.php",
    b"settings.php",
    b"settings.py",
    b"local_settings.py",
    b"database.yml",
    b"parameters.yml",
    b"docker-compose.yml",
    b"docker-compose.yaml",
    b"dockerfile",
    b"appsettings.json",
    b"application.yml",
    b"application.properties",
    b"info.php",
    b"pinfo.php",
    b"passwd",
    b"shadow",
    b"composer.lock",
    b"env.js",
    b"aws.yml",
    b"aws.json",
    b"web-inf",
    b"meta-inf",
    b"cgi-bin",
    b"setup.cgi",
    b"setup.php",
    b"upload.php",
    b"uploader.php",
    b"up.php",
    b"mini.php",
    b"fckeditor",
    b"kcfinder",
    b"elfinder",
    b"jbossws",
    b"wsman",
    b"evox",
    b"sqlite",
    b"backup",
    b"backups",
    b"phpinfo",
    b"wls-wsat",
    b"_async",
    b"portal.mwsl",
    b"currentsetting.htm",
    b"formlogin",
    b"boot.ini",
    b"win.ini",
    b"phpinfo.php",
    b"install.php",
    b"test.php",
];

const UNEQUIVOCAL: &[&[u8]] = &[
    b".env",
    b".git",
    b".svn",
    b".hg",
    b".aws",
    b".ssh",
    b".htaccess",
    b".htpasswd",
    b".ds_store",
    b".npmrc",
    b".docker",
    b".bash_history",
    b".vscode",
    b".idea",
    b".env.local",
    b".env.production",
    b".env.dev",
    b".env.backup",
    b".env.bak",
    b".env.save",
    b".env.example",
    b".gitconfig",
    b".git-credentials",
    b".kube",
    b".mysql_history",
    b".pgpass",
    b".boto",
    b".s3cfg",
    b".netrc",
    b"id_rsa",
    b"id_dsa",
    b"id_ed25519",
    b"authorized_keys",
    b"wp-config.php",
    b"wp-config.php.bak",
    b"terraform.tfstate",
    b"sftp-config.json",
    b"serviceaccountkey.json",
    b"eval-stdin.php",
    b"phpunit",
    b"hnap1",
    b"boaform",
    b"gponform",
    b"_ignition",
    b"invokefunction",
    b"dana-na",
    b"+cscoe+",
    b"+cscot+",
    b"goform",
    b"tmunblock.cgi",
    b"device.rsp",
    b"c99.php",
    b"r57.php",
    b"wso.php",
    b"alfa.php",
    b"alfacgiapi",
    b"alfa_data",
    b"shell.php",
    b"cmd.php",
    b"webshell.php",
    b"b374k.php",
    b"indoxploit.php",
    b"nmaplowercheck",
    b"nmapuppercheck",
    b"cmd.exe",
    b"root.exe",
    b"systembc",
    b"geoserver.php",
    b"solr-admin",
    b"vpnsvc",
    b"shell4.php",
];

/// Endings of copies and dumps.
const BACKUP_ENDINGS: &[&[u8]] = &[
    b".bak", b".old", b".orig", b".save", b".swp", b".sql", b".sql.gz", b".dump", b".backup",
    b".tar.gz", b".tgz", b".rar", b".7z", b".log", b".ini", b".pem", b".key", b".sqlite", b".mdb",
    b".conf", b"~",
];

/// Endings of scripts that a server runs.
const SCRIPT_ENDINGS: &[&[u8]] = &[
    b".php", b".php5", b".php7", b".phtml", b".asp", b".aspx", b".ashx", b".asmx", b".jsp",
    b".jspx", b".cgi", b".pl", b".cfm", b".action", b".do",
];

/// Hidden names that are public by convention.
const PUBLIC_DOTS: &[&[u8]] = &[b".well-known", b"."];

/// The lists, ready for look-up.
#[derive(Debug)]
pub(crate) struct PathWords {
    hasher: Hasher,
    words: HashTable<(&'static [u8], Sensitive)>,
}

impl PathWords {
    pub(crate) fn new(hasher: Hasher) -> Self {
        let mut words = HashTable::with_capacity(
            LEFT_BEHIND.len() + ADMIN.len() + SUSPICIOUS.len() + UNEQUIVOCAL.len(),
        );
        let lists = [
            (LEFT_BEHIND, Sensitive::Backup),
            (ADMIN, Sensitive::Admin),
            (SUSPICIOUS, Sensitive::Suspicious),
            (UNEQUIVOCAL, Sensitive::Unequivocal),
        ];
        for (list, sort) in lists {
            for word in list {
                words.insert_unique(hasher.bytes(word), (*word, sort), |(word, _)| {
                    hasher.bytes(word)
                });
            }
        }
        Self { hasher, words }
    }

    /// The worst that a path is after.
    pub(crate) fn look(&self, path: &NormalPath) -> Option<Sensitive> {
        let mut worst = None;
        let mut last: &[u8] = &[];
        for segment in path.segments() {
            worst = worst.max(self.segment(segment));
            last = segment;
        }
        worst.max(ending(last))
    }

    fn segment(&self, segment: &[u8]) -> Option<Sensitive> {
        let hidden = segment.first() == Some(&b'.') && !PUBLIC_DOTS.contains(&segment);
        let unless_listed = hidden.then_some(Sensitive::Backup);
        if segment.len() > LONGEST_WORD {
            return unless_listed;
        }
        let mut buffer = [0_u8; LONGEST_WORD];
        let lower = buffer.get_mut(..segment.len())?;
        lower.copy_from_slice(segment);
        lower.make_ascii_lowercase();
        let lower: &[u8] = lower;
        let found = self
            .words
            .find(self.hasher.bytes(lower), |(word, _)| *word == lower);
        found.map(|(_, sort)| *sort).or(unless_listed)
    }
}

fn ending(last: &[u8]) -> Option<Sensitive> {
    let ends = |endings: &[&[u8]]| {
        endings.iter().any(|ending| {
            let start = last.len().checked_sub(ending.len());
            start
                .and_then(|start| last.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(ending))
        })
    };
    if ends(BACKUP_ENDINGS) {
        return Some(Sensitive::Backup);
    }
    ends(SCRIPT_ENDINGS).then_some(Sensitive::Script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(path: &str) -> Option<Sensitive> {
        PathWords::new(Hasher::new(1)).look(&NormalPath::from_url(path))
    }

    #[test]
    fn a_path_is_known_by_the_worst_that_is_in_it() {
        let cases = [
            ("/.env", Some(Sensitive::Unequivocal)),
            ("/app/.git/config", Some(Sensitive::Unequivocal)),
            ("/.hidden/x", Some(Sensitive::Backup)),
            ("/PhpMyAdmin/index.php", Some(Sensitive::Admin)),
            ("/dump.SQL", Some(Sensitive::Backup)),
            (
                "/vendor/phpunit/src/eval-stdin.php",
                Some(Sensitive::Unequivocal),
            ),
            ("/.well-known/acme-challenge/x", None),
            ("/users/7/orders", None),
            ("/", None),
        ];
        for (path, sort) in cases {
            assert_eq!(look(path), sort, "{path}");
        }
    }

    #[test]
    fn no_word_stands_twice() {
        let mut all: Vec<_> = [LEFT_BEHIND, ADMIN, SUSPICIOUS, UNEQUIVOCAL].concat();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
        assert!(
            all.iter()
                .all(|word| word.len() <= LONGEST_WORD && !word.iter().any(u8::is_ascii_uppercase))
        );
    }
}
