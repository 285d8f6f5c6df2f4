//! Paths that ordinary clients never ask for, by what an attacker hopes to find there.

use ase_core::path::NormalPath;
use hashbrown::HashTable;

use crate::hash::Hasher;

const LONGEST_WORD: usize = 40;

/// What a path is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sensitive {
    /// Pages for operators, which are harmless where the API has them.
    Admin,
    /// A script in a language that the site may not speak.
    Script,
    /// A copy or a dump left behind.
    Backup,
    /// Secrets: hidden files, keys, configuration.
    Secret,
    /// A known hole, or a door that somebody else has left.
    Exploit,
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
    b"geoserver",
    b"nacos",
    b"hudson",
    b"sitecore",
    b"typo3",
    b"joomla",
    b"wp-json",
    b"wp-includes",
    b"wp-content",
    b"wordpress",
    b"blog-admin",
];

const SECRET: &[&[u8]] = &[
    b"id_rsa",
    b"id_dsa",
    b"id_ed25519",
    b"authorized_keys",
    b"known_hosts",
    b"credentials",
    b"credentials.json",
    b"secrets.json",
    b"secrets.yml",
    b"wp-config.php",
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
    b"phpinfo",
    b"phpinfo.php",
    b"info.php",
    b"pinfo.php",
    b"heapdump",
    b"passwd",
    b"shadow",
    b"sftp-config.json",
    b"terraform.tfstate",
    b"serviceaccountkey.json",
    b"composer.lock",
    b"proc",
    b"web-inf",
    b"meta-inf",
    b"env",
    b"env.js",
    b"etc",
    b"boot.ini",
    b"win.ini",
    b"aws.yml",
    b"aws.json",
];

const EXPLOIT: &[&[u8]] = &[
    b"eval-stdin.php",
    b"phpunit",
    b"cgi-bin",
    b"hnap1",
    b"boaform",
    b"formlogin",
    b"gponform",
    b"_ignition",
    b"invokefunction",
    b"dana-na",
    b"+cscoe+",
    b"+cscot+",
    b"mifs",
    b"sdk",
    b"vmware",
    b"setup.cgi",
    b"setup.php",
    b"goform",
    b"tmunblock.cgi",
    b"ztp",
    b"device.rsp",
    b"c99.php",
    b"r57.php",
    b"wso.php",
    b"alfa.php",
    b"alfacgiapi",
    b"alfa_data",
    b"shell.php",
    b"shell",
    b"cmd.php",
    b"webshell.php",
    b"b374k.php",
    b"indoxploit.php",
    b"mini.php",
    b"up.php",
    b"upload.php",
    b"uploader.php",
    b"filemanager",
    b"fckeditor",
    b"kcfinder",
    b"elfinder",
    b"jbossws",
    b"invoker",
    b"struts",
    b"remote",
    b"vpnsvc",
    b"wsman",
    b"evox",
    b"nmaplowercheck",
    b"nmapuppercheck",
    b"shell4.php",
    b"cmd.exe",
    b"root.exe",
    b"cmdownloads",
    b"onvif",
    b"ajax-api",
    b"wls-wsat",
    b"_async",
    b"solr-admin",
    b"luci",
    b"currentsetting.htm",
    b"portal.mwsl",
    b"systembc",
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
        let mut words = HashTable::with_capacity(ADMIN.len() + SECRET.len() + EXPLOIT.len());
        let lists = [
            (ADMIN, Sensitive::Admin),
            (SECRET, Sensitive::Secret),
            (EXPLOIT, Sensitive::Exploit),
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
        if segment.first() == Some(&b'.') && !PUBLIC_DOTS.contains(&segment) {
            return Some(Sensitive::Secret);
        }
        if segment.len() > LONGEST_WORD {
            return None;
        }
        let mut buffer = [0_u8; LONGEST_WORD];
        let lower = buffer.get_mut(..segment.len())?;
        lower.copy_from_slice(segment);
        lower.make_ascii_lowercase();
        let lower: &[u8] = lower;
        let found = self
            .words
            .find(self.hasher.bytes(lower), |(word, _)| *word == lower);
        found.map(|(_, sort)| *sort)
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
            ("/.env", Some(Sensitive::Secret)),
            ("/app/.git/config", Some(Sensitive::Secret)),
            (
                "/PhpMyAdmin/index.php",
                Some(Sensitive::Admin).max(Some(Sensitive::Script)),
            ),
            ("/dump.SQL", Some(Sensitive::Backup)),
            (
                "/vendor/phpunit/src/eval-stdin.php",
                Some(Sensitive::Exploit),
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
        let mut all: Vec<_> = [ADMIN, SECRET, EXPLOIT].concat();
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
